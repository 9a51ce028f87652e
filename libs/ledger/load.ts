import type { CommandOf } from './commands.ts';
import type { VmEvent } from './events.ts';
import { Refusal } from './refusal.ts';
import { madeUpName } from './names.ts';
import { requireFreeName, requireFreshId, requireIdle, requireSnapshot } from './require.ts';
import { type Snapshot, type SnapshotDisk, type Vm, wrongChainIn } from './vm.ts';

/** A held machine may be loaded: that is one of the ways out. What it holds is torn, so nothing of it is pinned. */
export function loadSnapshot(command: CommandOf<'LoadSnapshot'>, vm: Vm): VmEvent[] {
  const { snapshotId, operationId, resume = 'as-captured', disksOnly = false, plan } = command;
  const snapshot = requireSnapshot(vm, snapshotId);
  const { status, name } = snapshot;
  requireIdle(vm);
  if (status !== 'complete')
    throw new Refusal('not-loadable', `snapshot "${name}" is ${status}; only a complete one can be loaded`);
  if (disksOnly) requireDisks(snapshot);
  if (!vm.hold) requireFrozen(snapshot, vm);
  const pin = vm.hold || wrongChainIn(vm) ? undefined : command.pin;
  if (pin) requireFreshId(vm, pin.snapshotId);
  if (pin) requireFreeName(vm, madeUpName(pin.snapshotId), pin.snapshotId);
  const data = { snapshotId, operationId, resume, disksOnly, ...(pin && { pin }), ...(plan && { plan }) };
  return [{ type: 'LoadRequested', data }];
}

function requireDisks({ name, disks }: Snapshot): void {
  if (disks.some(({ mode }) => mode !== 'none')) return;
  throw new Refusal(
    'invalid-combination',
    `"${name}" holds memory and no disk: there is nothing to load without it`,
  );
}

/**
 * A load that was held half-way, or a machine that was started from the wrong file: what it writes on is not frozen any
 * more. A machine that is held stands still, and going back to what it was is a way out.
 */
function requireFrozen({ name, disks }: Snapshot, vm: Vm): void {
  const isWritten = ({ mode, file }: SnapshotDisk): boolean =>
    mode === 'external' && vm.disks.some((disk) => disk.file === file);
  const written = disks.find(isWritten);
  if (!written) return;
  throw new Refusal('not-loadable', `the machine writes on what "${name}" holds of disk "${written.device}"`);
}
