/* What a simulated world is made with, and what comes of it. */
import type { Fault } from './faults.ts';
import type { Journey } from './journeys.ts';
import type { PointCount } from './ledgerd-service.ts';
import type { Kind } from './point-kinds.ts';
import type { Script } from './script.ts';
import type { Meddle } from './simulated-ledgerd.ts';
import type { Mislead } from './views-on-disk.ts';
import { Violation } from './violation.ts';

export interface SimulateOptions {
  /** Keep every line of the trace. */
  readonly isTraced?: boolean;
  /** Whether the fingerprint of the trace is wanted; it is unless told. */
  readonly isHashed?: boolean;
  /** Not one of the short ones. */
  readonly isLong?: boolean;
  readonly meddle?: Meddle;
  readonly mislead?: Mislead;
  /** What is asked, and the one thing that goes wrong; absent: all by chance. */
  readonly script?: Script;
  /** The way that its caller goes. Absent: one that is drawn, or none. */
  readonly journey?: Journey | null;
  /** Names of what was drawn and does not happen. */
  readonly without?: ReadonlySet<string>;
}

export interface Simulated {
  readonly seed: number;
  readonly violation: Error | null;
  readonly traceHash: string;
  readonly traceLines: number;
  /** The newest lines of the trace, when something went wrong, or all of it when it was asked for. */
  readonly trace: readonly string[];
  readonly eventsRecorded: number;
  readonly simulatedMs: number;
  readonly faults: ReadonlyMap<Fault, number>;
  readonly points: ReadonlyMap<string, PointCount>;
  /** How often each touch of the world was begun, and which kinds of fault have struck it. */
  readonly begun: ReadonlyMap<string, number>;
  readonly struck: ReadonlyMap<string, ReadonlyMap<Kind, number>>;
  /** How requests were answered, and how operations ended. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** What was drawn and happened, by name, in order. */
  readonly happened: readonly string[];
}

/** What to print of a world in which something went wrong. */
export function reportOf({ seed, violation, trace }: Simulated, linesMax = 60): string {
  if (!violation) return `seed ${seed}: no violation`;
  return [
    ...trace.slice(-linesMax),
    '',
    `seed ${seed}: ${violation instanceof Violation ? violation.message : (violation.stack ?? violation.message)}`,
    `replay it: npm run sim -- --seed ${seed} --trace`,
  ].join('\n');
}
