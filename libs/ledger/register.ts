import type { CommandOf } from './commands.ts';
import type { DataOf, VmEvent } from './events.ts';
import { requireLabels, requireName } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireNotHeld } from './require.ts';
import type { Vm } from './vm.ts';

export function registerVm({ registration }: CommandOf<'RegisterVm'>, vm: Vm): VmEvent[] {
  if (vm.life !== 'unborn')
    throw new Refusal('id-used', `the id ${registration.vmId} was given to a VM before`);
  requireName(registration.name);
  requireLabels(registration.labels);
  return [{ type: 'VmRegistered', data: registration }];
}

/** Records only what differs. The monitor and the defaults may not change under an operation that relies on them. */
export function changeVm({ change }: CommandOf<'ChangeVm'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  if (change.name !== undefined) requireName(change.name);
  if (change.labels !== undefined) requireLabels(change.labels);
  const different = differing(change, vm);
  if (Object.keys(different).length === 0) return [];
  if (different.monitor !== undefined || different.defaults !== undefined || different.host !== undefined)
    requireIdle(vm);
  return [{ type: 'VmChanged', data: different }];
}

function differing(change: DataOf<'VmChanged'>, vm: Vm): DataOf<'VmChanged'> {
  const { name, labels, monitor, guestAgent, host, defaults } = change;
  return {
    ...(name !== undefined && name !== vm.name && { name }),
    ...(labels !== undefined && !sameLabels(labels, vm.labels) && { labels }),
    ...(monitor !== undefined && monitor !== vm.monitor && { monitor }),
    ...(guestAgent !== undefined && guestAgent !== vm.guestAgent && { guestAgent }),
    ...(host !== undefined && host !== vm.host && { host }),
    ...(defaults !== undefined && differentDefaults(defaults, vm)),
  };
}

function differentDefaults(
  defaults: NonNullable<DataOf<'VmChanged'>['defaults']>,
  vm: Vm,
): Pick<DataOf<'VmChanged'>, 'defaults'> {
  for (const device of Object.keys(defaults)) {
    if (!vm.disks.some((disk) => disk.device === device)) {
      throw new Refusal('disk-unsupported', `the VM has no disk "${device}"`);
    }
  }
  const isSame = vm.disks.every((disk) => (defaults[disk.device] ?? disk.default) === disk.default);
  return isSame ? {} : { defaults };
}

/** Whether two maps of labels say the same, whatever their order. */
export function sameLabels(
  one: Readonly<Record<string, string>>,
  other: Readonly<Record<string, string>>,
): boolean {
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && one[key] === other[key])
  );
}
