import type { Leftover, OpenOperation, Quiesced, Report, Vm } from '#ledger';
import type { Measure } from '#world';
import type { LastPush } from './create/last-push.ts';
import type { Journal, Start } from './journal.ts';
import type { Place } from './place.ts';
import type { Steps } from './steps.ts';
import type { Sight } from './look/sight.ts';
import type { Transcript } from './transcript.ts';
import type { Trouble } from './trouble.ts';

/** One operation being carried out, and all that its steps need. */
export interface Errand {
  readonly place: Place;
  readonly worker: string;
  readonly journal: Journal;
  readonly steps: Steps;
  readonly transcript: Transcript;
  readonly operationId: string;
  /** Nobody has begun it before: what is found now is how things were. */
  readonly isFirst: boolean;
  /** As the ledger knew it when the errand began. */
  readonly vm: Readonly<Vm>;
  readonly memory: Memory;
  /** What a look that was begun early has found; null when there was none, or none that can be gone by. */
  readonly foreseen: () => Promise<Sight | null>;
  /** When layers had been written last that have gone down while their machine was off, by file. */
  readonly down: Map<string, number>;
  /** What a repair could not mend. */
  damage: readonly Leftover[];
}

/**
 * What this process remembers of open operations between one attempt and the next. Whoever comes after it finds the same
 * on the disks, but for `copied` and `ofOneInstant`, without which a capture is taken back, and for `dropped`, and `pushed`
 * where nobody could say it: then what the owner of a machine has done meanwhile may not be seen.
 */
export interface Memory {
  /** Their images were repaired, and the machine has not been seen alive since. */
  readonly mended: Set<string>;
  /** Their machine was on when they were first looked at. */
  readonly metAlive: Set<string>;
  /** What came in between when they were carried out. */
  readonly troubles: Map<string, Trouble>;
  /** What came of freezing their guest. */
  readonly quiesced: Map<string, Quiesced>;
  /** Why their guest may still be frozen. */
  readonly frozen: Map<string, string>;
  /** What they were to make and have not made, for something lay there: it is somebody else's. */
  readonly strange: Map<string, readonly string[]>;
  /** All copies that they make of disks are whole and on disk. */
  readonly copied: Set<string>;
  /** Their images were captured one by one, and their machine, which was off, has left them alone meanwhile. */
  readonly ofOneInstant: Set<string>;
  /** What machines had written into their overlays is on its way down. */
  readonly pushed: Map<string, LastPush>;
  /** By file, when layers had been written last that have gone down, and could not be unlinked then. */
  readonly dropped: Map<string, ReadonlyMap<string, number>>;
  /** The memory that was received as a stream. */
  readonly streamed: Map<string, Measure>;
  /** Whether their machine has been told to stand still for them, and not to run since. */
  readonly stopped: Map<string, boolean>;
  /** A sign in QEMU says that their machine was stopped for them. */
  readonly signed: Set<string>;
  /** How often a machine was started for them. */
  readonly launched: Map<string, number>;
}

/** What a create, a load and a delete each do in their own way. */
export interface Way {
  /**
   * What will be done, and what would take it back. Touches nothing.
   *
   * @throws {Refusal} when it must not begin
   */
  admit(sight: Sight): Promise<Start>;
  /** The first time, right after the intent became durable. */
  act(start: Start, sight: Sight): Promise<Report>;
  /** It has begun before. Finds out by looking how far it came, and ends it. */
  recover(start: Start): Promise<Report>;
}

export type OperationOf<K extends OpenOperation['kind']> = Extract<OpenOperation, { kind: K }>;
