import type { DataOf } from '#ledger';
import type { Known, Open } from './known.ts';
import type { Hold } from './standing.ts';
import { must } from './violation.ts';

/* What may be asked of one VM (DESIGN §4 and §6), said a second time. All of it throws `Violation`. */

/** What the log has said so far. */
export interface Believed {
  readonly current: string | null;
  readonly hold: Hold | null;
  readonly snapshots: ReadonlyMap<string, Known>;
  /** The files that the machine stands on. */
  readonly stoodOn: ReadonlySet<string>;
  /** Tags of what loads have saved of the present, or were to. */
  readonly pins: ReadonlySet<string>;
}

/** How long a worker may wait for a machine, and what it may be late for looks that take long. */
const BEGIN_WITHIN_MS = 120_000 + 60_000;

/** Nobody's machine is touched when they have long given up. */
export function requireInTime({ id, atMs: sinceMs }: Open, atMs: number, upSinceMs: number): void {
  const waitedMs = atMs - Math.max(sinceMs, upSinceMs);
  must(waitedMs < BEGIN_WITHIN_MS, 'rule 4', () => `${id} begins after ${waitedMs} ms`);
}

/** What is captured descends from what is current, and from nothing else. */
export function requireParent(parentId: string | null, { current }: Believed): void {
  must(parentId === current, 'I6', () => `parent ${parentId}, but ${current} is current`);
}

export function requireCreate({ parentId }: DataOf<'SnapshotRequested'>, believed: Believed): void {
  must(!believed.hold, 'rule 6', () => 'a create was accepted on a held machine');
  requireParent(parentId, believed);
}

/** A held machine may be loaded: that is one of the ways out. Torn as it is, nobody wants it back. */
export function requireLoad(
  { pin }: DataOf<'LoadRequested'>,
  { tag, status }: Known,
  { hold }: Believed,
): void {
  must(status === 'complete', 'rule 5', () => `${tag} is ${status}, and is to be loaded`);
  must(!hold || !pin, 'rule 6', () => 'a held machine is to be saved before a load');
}

/** Nothing goes along that nobody was asked about, and nothing that the machine stands on is thrown away. */
export function requireDelete(data: DataOf<'DeleteRequested'>, believed: Believed): void {
  const { snapshotId, strategy, targets } = data;
  const { hold, snapshots, pins, stoodOn } = believed;
  must(!hold, 'rule 6', () => 'a delete was accepted on a held machine');
  for (const id of targets) {
    const known = snapshots.get(id);
    const isAsked = id === snapshotId || strategy.endsWith('-force') || pins.has(known?.tag ?? '');
    must(isAsked, 'delete', () => `${strategy} of ${snapshotId} takes ${id} along`);
    const frozen = [...(known?.disks.values() ?? [])].filter(({ mode }) => mode === 'external');
    const isStoodOn = frozen.some(({ file }) => stoodOn.has(file ?? ''));
    const isKept = snapshotId === null || strategy.startsWith('merge');
    must(isKept || !isStoodOn, 'delete', () => `${strategy} of ${id}, which the machine stands on`);
  }
}

/** Of what loads have saved the newest is kept, until another one takes its place. */
export function requireReplaced(id: string, open: Open | null, { snapshots, pins }: Believed): void {
  if (open?.kind !== 'load' || open.pinId !== null) return;
  const newest = [...snapshots].findLast(([, { tag }]) => pins.has(tag))?.[0];
  must(newest !== id, 'pin', () => `${id} is let go, and nothing else is saved of what loads have left`);
}
