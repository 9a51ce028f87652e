import type { Asked, Handled } from '#event-store';
import type { Hypervisor } from '#hypervisor';
import { type DataOf, decideRegistry, type Disk, Refusal, type RegistryEvent } from '#ledger';
import { REGISTRY_STREAM, streamOf } from '../ledger.ts';
import { registerVm } from '../registration.ts';
import type { ChangeVmBody, RegisteredDiskBody, RegisterVmBody } from './bodies.ts';
import type { House } from './house.ts';
import { given } from './queries.ts';

type Registration = DataOf<'VmRegistered'>;

/**
 * Registers a VM. A request that was answered before is not looked into again: the machine may be off by now, and
 * its monitor is taken, namely by itself.
 *
 * @throws {Refusal} what the look or the registry says
 */
export async function register(
  house: House,
  body: RegisterVmBody,
  asked: Asked,
): Promise<Handled<RegistryEvent>> {
  const { ledgers } = house;
  const again = await ledgers.registry.answered(REGISTRY_STREAM, asked);
  if (again) return registerVm(ledgers, registrationIn(again), asked);
  const { registration, below } = await registrationOf(house, body);
  return registerVm(ledgers, registration, asked, below);
}

/** What a registration recorded. */
export function registrationIn({ events }: Handled<RegistryEvent>): Registration {
  for (const event of events) {
    if (event.type === 'VmClaimed' && event.data.registration) return event.data.registration;
  }
  throw new Error('a registration was answered without a claim'); // `decideRegistry` never lets one pass.
}

/**
 * What is to be recorded of a machine, after a look at it.
 *
 * @throws {Refusal} what the look or the registry says; nothing was recorded then
 */
async function registrationOf(
  house: House,
  body: RegisterVmBody,
): Promise<{ readonly registration: Registration; readonly below: readonly string[] }> {
  const known = {
    vmId: body.id ?? house.world.ids.uuid(),
    name: body.name,
    host: body.host ?? house.host,
    guestAgent: body.guestAgent ?? null,
    labels: body.labels ?? {},
  };
  const { monitor, disks = [] } = body;
  const hypervisor = hypervisorOf(house, known.host);
  await requireFree(house, { ...known, monitor, disks: [], foreignTags: [] });
  requireOnce(disks);
  const images = imagesIn(disks);
  const guestAgent = known.guestAgent === null ? null : await hypervisor.agentPath(known.guestAgent);
  const found = await hypervisor.discover({ monitor, ...(images.length > 0 && { disks: images }) });
  const { monitor: resolved, foreignTags, below } = found;
  const seen = { monitor: resolved, disks: withDefaults(found.disks, disks), foreignTags };
  return { registration: { ...known, guestAgent, ...seen }, below };
}

/** What is plainly taken is said before the machine is bothered. The registry decides again when it records. */
async function requireFree({ ledgers }: House, registration: Registration): Promise<void> {
  const { state } = await ledgers.registry.state(REGISTRY_STREAM);
  const { vmId, name, monitor } = registration;
  decideRegistry({ type: 'ClaimVm', vmId, claim: { name, monitor, files: [], registration } }, state);
}

function requireOnce(disks: readonly { readonly device: string }[]): void {
  const devices = disks.map(({ device }) => device);
  const twice = devices.find((device, index) => devices.indexOf(device) !== index);
  if (twice !== undefined) throw new Refusal('invalid-body', `disks names "${twice}" twice`);
}

/** Either all of them say where they are, and the machine is off; or none does, and QEMU tells. */
function imagesIn(disks: readonly RegisteredDiskBody[]): { device: string; file: string; format: string }[] {
  const images = disks.flatMap(({ device, file, format }) =>
    file !== undefined && format !== undefined ? [{ device, file, format }] : [],
  );
  const told = disks.filter(({ file, format }) => file !== undefined || format !== undefined);
  if (images.length === told.length && (told.length === 0 || told.length === disks.length)) return images;
  throw new Refusal('invalid-body', 'disks must name file and format for every one of them, or for none');
}

function withDefaults(found: readonly Disk[], asked: readonly RegisteredDiskBody[]): Disk[] {
  const wishes = new Map(
    asked.flatMap(({ device, default: mode }) => (mode ? [[device, mode] as const] : [])),
  );
  for (const { device } of asked) {
    if (!found.some((disk) => disk.device === device))
      throw new Refusal('disk-unsupported', `the VM has no disk "${device}"`);
  }
  return found.map((disk) => ({ ...disk, default: wishes.get(disk.device) ?? disk.default }));
}

/**
 * What is to be recorded of a change. A new monitor is looked at before anybody relies on it.
 *
 * @throws {Refusal} what the look says
 */
export async function changeOf(house: House, vmId: string, body: ChangeVmBody): Promise<DataOf<'VmChanged'>> {
  const { name, labels, host, disks } = body;
  requireOnce(disks ?? []);
  const defaults = disks && Object.fromEntries(disks.map(({ device, default: mode }) => [device, mode]));
  const monitor = body.monitor === undefined ? undefined : await resolvedMonitor(house, vmId, body.monitor);
  const guestAgent =
    typeof body.guestAgent === 'string' ? await resolvedAgent(house, vmId, body.guestAgent) : body.guestAgent;
  return given({ name, labels, monitor, guestAgent, host, defaults });
}

/** What was accepted is kept without symbolic links; each later use looks again. */
async function resolvedAgent(house: House, vmId: string, path: string): Promise<string> {
  const { state: vm } = await house.ledgers.vms.state(streamOf(vmId));
  if (vm.life !== 'registered') throw new Refusal('vm-unknown', 'there is no such VM');
  return hypervisorOf(house, vm.host).agentPath(path);
}

/** The machine behind it must be the same one: a running QEMU tells, one that is off is described by what is known. */
async function resolvedMonitor(house: House, vmId: string, monitor: string): Promise<string> {
  const { state: vm } = await house.ledgers.vms.state(streamOf(vmId));
  if (vm.life !== 'registered') throw new Refusal('vm-unknown', 'there is no such VM');
  if (monitor === vm.monitor) return monitor;
  const known = vm.disks.map(({ device, file, format }) => ({ device, file, format }));
  const hypervisor = hypervisorOf(house, vm.host);
  const found = await hypervisor.discover({ monitor }).catch((error: unknown) => {
    if (error instanceof Refusal && error.code === 'not-a-monitor')
      return hypervisor.discover({ monitor, disks: known });
    throw error;
  });
  for (const { device, file } of known) {
    if (!found.disks.some((disk) => disk.device === device && disk.file === file))
      throw new Refusal(
        'disk-unsupported',
        `the machine behind ${monitor} has no disk "${device}" with the file ${file}`,
      );
  }
  return found.monitor;
}

/** @throws {Refusal} `host-unreachable` when this process cannot look at machines of that host */
export function hypervisorOf({ hypervisor, host }: House, wanted: string): Hypervisor {
  if (hypervisor && wanted === host) return hypervisor;
  const why = hypervisor ? `machines of host "${host}"` : 'no machines: it runs without the role worker';
  throw new Refusal('host-unreachable', `host "${wanted}" cannot be reached: this process looks at ${why}`);
}
