import type { Command, CommandOf, FailedReport } from '../commands.ts';
import type { DataOf } from '../events.ts';
import type { Strategy } from '../shapes.ts';
import { creation, failure, pinning, starting } from './events.ts';

/** What is asked, in letters: a letter is the id and the name of a snapshot. */
export const create = (
  id: string,
  more: Partial<Omit<CommandOf<'CreateSnapshot'>, 'type'>> = {},
): CommandOf<'CreateSnapshot'> => ({
  type: 'CreateSnapshot',
  snapshotId: id,
  operationId: `create-${id}`,
  name: id,
  limits: { snapshotsMax: 200, chainMax: 64 },
  ...more,
});

/** A create in which nobody chose a name. */
export const createUnnamed = (id: string): Command => {
  const { name: _, ...unnamed } = create(id);
  return unnamed;
};

export const load = (
  id: string,
  more: Partial<Omit<CommandOf<'LoadSnapshot'>, 'type'>> = {},
): CommandOf<'LoadSnapshot'> => ({
  type: 'LoadSnapshot',
  snapshotId: id,
  operationId: `load-${id}`,
  ...more,
});

const deletion = (id: string, strategy: Strategy): Command => ({
  type: 'DeleteSnapshot',
  snapshotId: id,
  operationId: `delete-${id}`,
  strategy,
});
export const retire = (id: string): Command => deletion(id, 'retire');
export const merge = (id: string): Command => deletion(id, 'merge');
export const mergeForce = (id: string): Command => deletion(id, 'merge-force');
export const discard = (id: string): Command => deletion(id, 'discard');
export const discardForce = (id: string): Command => deletion(id, 'discard-force');
export const deleteAll: Command = { type: 'DeleteAllSnapshots', operationId: 'delete-all' };
export const unretire = (snapshotId: string): Command => ({ type: 'UnretireSnapshot', snapshotId });

export const patch = (
  snapshotId: string,
  changes: Omit<CommandOf<'PatchSnapshot'>, 'type' | 'snapshotId'>,
): Command => ({ type: 'PatchSnapshot', snapshotId, ...changes });
export const rename = (id: string, name: string): Command => patch(id, { name });
export const protect = (id: string): Command => patch(id, { protected: true });

export const change = (changes: DataOf<'VmChanged'>): Command => ({ type: 'ChangeVm', change: changes });
export const forget: Command = { type: 'ForgetVm' };
export const cancel = (operationId: string): Command => ({ type: 'CancelOperation', operationId });
export const release = (note = 'looked at it'): Command => ({ type: 'ReleaseHold', note });

export const start = (operationId: string, snapshotId: string | null = null): Command => ({
  type: 'StartOperation',
  start: starting(operationId, snapshotId),
});
export const reportCreated = (
  id: string,
  more: Partial<Omit<DataOf<'SnapshotCreated'>, 'snapshotId'>> = {},
): Command => ({ type: 'ReportCreated', created: { ...creation(id), ...more } });
export const reportPinned = (pin: string, of: string): Command => ({
  type: 'ReportPinned',
  pinned: pinning(pin, of),
});
export const reportLoaded = (id: string, ...replaced: string[]): CommandOf<'ReportLoaded'> => ({
  type: 'ReportLoaded',
  loaded: { operationId: `load-${id}`, runs: true, steps: [], transcriptDigest: '' },
  ...(replaced.length > 0 && { replaced }),
});
export const reportDeleted = (id: string): Command => ({
  type: 'ReportDeleted',
  deleted: { operationId: `delete-${id}`, steps: [], transcriptDigest: '' },
});
export const reportFailed = (
  operationId: string,
  more: Partial<FailedReport> = {},
): CommandOf<'ReportFailed'> => ({
  type: 'ReportFailed',
  failed: { ...failure(operationId), ...more },
});

/** What the monitor's words of 2010 are here: ask, and the worker does it. */
export const savevm = (id: string): Command[] => [create(id), reportCreated(id)];
export const loadvm = (id: string): Command[] => [load(id), reportLoaded(id)];
