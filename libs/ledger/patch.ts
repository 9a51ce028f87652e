import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { requireLabels, requireName, requireText } from './names.ts';
import { Refusal } from './refusal.ts';
import { sameLabels } from './register.ts';
import { requireFreeName, requireIdle, requireNotHeld, requireSnapshot } from './require.ts';
import type { Snapshot, Vm } from './vm.ts';

/** Each changed field is one event; asking for what is so already is none. Needs no machine. */
export function patchSnapshot(command: CommandOf<'PatchSnapshot'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  const snapshot = requireSnapshot(vm, command.snapshotId);
  if (snapshot.status === 'deleting') requireIdle(vm); // It is too late to protect it.
  return [
    ...renamed(command, snapshot, vm),
    ...described(command, snapshot),
    ...labelled(command, snapshot),
    ...guarded(command, snapshot),
  ];
}

function renamed({ snapshotId, name }: CommandOf<'PatchSnapshot'>, known: Snapshot, vm: Vm): VmEvent[] {
  if (name === undefined) return [];
  requireName(name);
  if (name === known.name) return [];
  requireFreeName(vm, name, snapshotId);
  return [{ type: 'SnapshotRenamed', data: { snapshotId, name } }];
}

function described({ snapshotId, description }: CommandOf<'PatchSnapshot'>, known: Snapshot): VmEvent[] {
  if (description === undefined) return [];
  requireText('description', description);
  return description === known.description
    ? []
    : [{ type: 'SnapshotDescribed', data: { snapshotId, description } }];
}

function labelled({ snapshotId, labels }: CommandOf<'PatchSnapshot'>, known: Snapshot): VmEvent[] {
  if (labels === undefined) return [];
  requireLabels(labels);
  return sameLabels(labels, known.labels) ? [] : [{ type: 'SnapshotLabelled', data: { snapshotId, labels } }];
}

function guarded(command: CommandOf<'PatchSnapshot'>, { id: snapshotId, isProtected }: Snapshot): VmEvent[] {
  if (command.protected === undefined || command.protected === isProtected) return [];
  return [{ type: command.protected ? 'SnapshotProtected' : 'SnapshotUnprotected', data: { snapshotId } }];
}

export function unretireSnapshot({ snapshotId }: CommandOf<'UnretireSnapshot'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  const { status, name } = requireSnapshot(vm, snapshotId);
  if (status === 'complete') return [];
  if (status !== 'retired') throw new Refusal('not-complete', `snapshot "${name}" is ${status}, not retired`);
  return [{ type: 'SnapshotUnretired', data: { snapshotId } }];
}
