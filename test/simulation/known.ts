import type { DataOf, VmEvent } from '#ledger';
import type { Content } from './qemu/content.ts';
import { must } from './violation.ts';

export type EventOf<T extends VmEvent['type']> = Extract<VmEvent, { type: T }>;

/** What the log says that a snapshot keeps of a disk. */
export interface KnownDisk {
  readonly mode: 'none' | 'internal' | 'external';
  /** Where it is; null until it is captured. */
  readonly file: string | null;
  /** What it must hold for ever; null until it is captured. */
  readonly truth: Content | null;
}

/** Where a snapshot has its memory, and which one it is. */
export interface KnownMemory {
  readonly file: string;
  readonly isStream: boolean;
  /** Null: nobody knows. */
  readonly serial: number | null;
}

/** A snapshot that lives, as far as the log has said. */
export interface Known {
  parentId: string | null;
  readonly tag: string;
  readonly disks: Map<string, KnownDisk>;
  status: 'pending' | 'complete' | 'deleting' | 'retired' | 'lost' | 'suspect';
  memory: KnownMemory | null;
  /** Where it stood before it was found otherwise. */
  before: Known['status'];
}

/** Whether what it holds must be exactly there. */
export const isWhole = ({ status }: Known): boolean => status === 'complete' || status === 'retired';

/** Whether nobody knows what it holds: the machine was started from below it while it was captured. */
export const isBlurred = ({ disks, memory }: Known): boolean =>
  memory?.serial === null || [...disks.values()].some(({ mode, truth }) => mode !== 'none' && !truth);

/** The one request that has not been answered yet. */
export interface Open {
  readonly id: string;
  readonly kind: 'create' | 'load' | 'delete';
  readonly snapshotId: string | null;
  /** What a load saves of the present. */
  readonly pinId: string | null;
  readonly targets: readonly string[];
  readonly atMs: number;
  /** Which instant of the guest it was; of a load whose content is in place, when that was. */
  readonly atInstant: number;
  /** Whether all that a load was to bring back is in place. */
  readonly isLoaded: boolean;
  /** Null: nothing may have been touched. */
  started: DataOf<'OperationStarted'> | null;
}

/** A copy that takes what is written over ends when it is told to. */
export const watchesForEver = ({ started }: Open): boolean =>
  started?.backups?.some(({ sync }) => sync === 'none') ?? false;

export const PREFIX = 'sl-';
export const tagOf = (snapshotId: string): string => `${PREFIX}${snapshotId}`;

/** Whether this may be said of an operation now. Throws a `Violation`. */
export function requireOpen(
  type: VmEvent['type'],
  operationId: string,
  { open, ended }: { open: Open | null; ended: ReadonlySet<string> },
): void {
  const hasEnded = ended.has(operationId);
  if (type.endsWith('Requested')) {
    must(open === null, 'I7', () => `${type} while ${open?.kind} ${open?.id} is under way`);
    must(!hasEnded, 'I3', () => `operation ${operationId} is asked for twice`);
    return;
  }
  must(open?.id === operationId, 'I3', () => {
    return `${type} of ${operationId}, which ${hasEnded ? 'has ended' : 'was never asked for'}`;
  });
  const isDone = type.startsWith('Snapshot') || type === 'ContentLoaded';
  must(open.started !== null || !isDone, 'I19', () => `${type}, but the log has no word of its start`);
}

/** Files of which a failure says that nobody can tell whose they are, as leftovers are called. */
export const leftAlone = (steps: DataOf<'CreateFailed'>['steps']): string[] =>
  steps.flatMap(({ name }) =>
    (/^leave (.*): nobody can tell/.exec(name) ?? []).slice(1).map((file) => `${file} `),
  );
