import type { CommandOf } from './commands.ts';
import type { DataOf, VmEvent } from './events.ts';
import { requireLabels, requireName } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireInternalOn, requireNotHeld } from './require.ts';
import type { Disk } from './shapes.ts';
import type { Vm } from './vm.ts';

export function registerVm({ registration }: CommandOf<'RegisterVm'>, vm: Vm): VmEvent[] {
  if (vm.life !== 'unborn')
    throw new Refusal('id-used', `the id ${registration.vmId} was given to a VM before`);
  requireRegistration(registration);
  return [{ type: 'VmRegistered', data: registration }];
}

/**
 * What makes no sense is refused before anything is claimed for it, or the claim would stand for ever.
 *
 * @throws {Refusal} `invalid-name` `invalid-body` `disk-unsupported`
 */
export function requireRegistration({ name, labels, disks }: DataOf<'VmRegistered'>): void {
  requireName(name);
  requireLabels(labels);
  requireDisks(disks);
}

/** A disk is meant by its name, and by default it does nothing that it cannot do. */
function requireDisks(disks: readonly Disk[]): void {
  const devices = new Set<string>();
  for (const disk of disks) {
    if (devices.has(disk.device))
      throw new Refusal('disk-unsupported', `two disks are called "${disk.device}"`);
    devices.add(disk.device);
    if (disk.default === 'internal') requireInternalOn(disk);
  }
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
  const different = Object.entries(defaults).filter(([device, mode]) => {
    const disk = vm.disks.find((disk) => disk.device === device);
    if (!disk) throw new Refusal('disk-unsupported', `the VM has no disk "${device}"`);
    if (mode === 'internal') requireInternalOn(disk);
    return disk.default !== mode;
  });
  return different.length === 0 ? {} : { defaults: Object.fromEntries(different) };
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
