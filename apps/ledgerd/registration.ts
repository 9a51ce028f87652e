import { type Asked, type Handled, StaleVersion } from '#event-store';
import type { ClaimedFile } from '#hypervisor';
import {
  type Claim,
  type DataOf,
  decide,
  type Disk,
  Refusal,
  type RegistryEvent,
  type Vm,
  type VmEvent,
} from '#ledger';
import { type Ledgers, REGISTRY_STREAM, streamOf } from './ledger.ts';

/**
 * Registration spans two streams: the claim in `registry` comes first, so that a name, a monitor or an image is
 * never given twice; then the VM's own stream begins. Whoever dies in between leaves a claim with all that is
 * needed to finish: the same request again does it, and so does `finishHalfDone` at the next start.
 *
 * The key of a registration lives in `registry`, where the request is decided. `below` are files that the machine reads
 * and does not write.
 *
 * @throws {Refusal} `name-taken` `monitor-taken` `image-taken` `id-used` `invalid-name`
 */
export async function registerVm(
  ledgers: Ledgers,
  registration: DataOf<'VmRegistered'>,
  asked: Asked,
  below: readonly string[] = [],
): Promise<Handled<RegistryEvent>> {
  await finish(ledgers, registration.vmId, asked);
  const claim = { ...claimOf(registration), below };
  const claimed = await ledgers.registry.handle(
    REGISTRY_STREAM,
    { type: 'ClaimVm', vmId: registration.vmId, claim },
    asked,
  );
  for (const event of claimed.events) {
    if (event.type === 'VmClaimed' && event.data.registration) {
      await begin(ledgers, event.data.registration, { ...asked, causationId: event.id });
    }
  }
  return claimed;
}

/** A claim whose registration did not follow is finished before anything else is said of its id. */
async function finish(ledgers: Ledgers, vmId: string, asked: Asked): Promise<void> {
  const { state: registry } = await ledgers.registry.state(REGISTRY_STREAM);
  const claimed = registry.claims.get(vmId)?.registration;
  if (claimed) await begin(ledgers, claimed, asked);
}

/** The images and layers of all VMs but one, and what they stand on. */
export async function claimedBesides({ registry }: Ledgers, vmId: string): Promise<ClaimedFile[]> {
  const { state } = await registry.state(REGISTRY_STREAM);
  return [...state.claims].flatMap(([other, { files, below = [] }]) =>
    other === vmId ? [] : [...files, ...below].map((file) => ({ vmId: other, file })),
  );
}

/** Name, monitor and images of a VM, as the registry wants them. */
const claimOf = (registration: DataOf<'VmRegistered'>): Claim => ({
  name: registration.name,
  monitor: registration.monitor,
  files: writableFilesOf(registration.disks),
  registration,
});

/** A read-only image may be everybody's. */
const writableFilesOf = (disks: readonly Disk[]): string[] =>
  disks.filter(({ readOnly }) => !readOnly).map(({ file }) => file);

async function begin(ledgers: Ledgers, registration: DataOf<'VmRegistered'>, asked: Asked): Promise<void> {
  const stream = streamOf(registration.vmId);
  const { state } = await ledgers.vms.state(stream);
  if (state.life !== 'unborn') return;
  try {
    await ledgers.vms.handle(stream, { type: 'RegisterVm', registration }, unkeyed(asked));
  } catch (error) {
    // Only one registration can be claimed for an id: another process on the same log has finished this one meanwhile.
    if (!(error instanceof Refusal) || error.code !== 'id-used') throw error;
  }
}

/** Key and expected version belong to one stream; what follows in the other one goes without them. */
const unkeyed = ({ actor, correlationId, causationId, request }: Asked): Asked => ({
  actor,
  correlationId,
  request,
  ...(causationId !== undefined && { causationId }),
});

/**
 * Changes name, labels, monitor, agent, host or disk defaults. What must stay unique is claimed first.
 *
 * @throws {Refusal} as the registry and the VM say
 */
export async function changeVm(
  ledgers: Ledgers,
  vmId: string,
  change: DataOf<'VmChanged'>,
  asked: Asked,
): Promise<Handled<VmEvent>> {
  const stream = streamOf(vmId);
  if (change.name === undefined && change.monitor === undefined) {
    return ledgers.vms.handle(stream, { type: 'ChangeVm', change }, asked);
  }
  const answered = await ledgers.vms.answered(stream, asked);
  if (answered) return answered; // The claim was made when the key was new; it may be somebody else's by now.
  const { state: vm, version } = await ledgers.vms.state(stream);
  const { expectedVersion = version } = asked;
  // What would be refused is refused before anything is claimed for it: a refusal leaves no trace.
  if (expectedVersion !== version) throw new StaleVersion(expectedVersion, version);
  if (decide({ type: 'ChangeVm', change }, vm).length > 0)
    await claimAnew(ledgers, vmId, { ...vm, ...pickClaimed(change) }, asked);
  try {
    return await ledgers.vms.handle(stream, { type: 'ChangeVm', change }, asked);
  } catch (error) {
    // Refused after all: the claim goes back to what the VM is. A crash here is mended by `finishHalfDone`.
    const { state: asItIs } = await ledgers.vms.state(stream);
    if (asItIs.life === 'registered') await claimAnew(ledgers, vmId, asItIs, asked);
    throw error;
  }
}

const pickClaimed = ({ name, monitor }: DataOf<'VmChanged'>): { name?: string; monitor?: string } => ({
  ...(name !== undefined && { name }),
  ...(monitor !== undefined && { monitor }),
});

type Claimed = Pick<Vm, 'name' | 'monitor' | 'disks' | 'layers'> & {
  readonly below?: readonly string[] | undefined;
};

/** What the machine writes on, and all that its snapshots and its disks stand on. */
function filesOf({ disks, layers }: Readonly<Claimed>): string[] {
  const shared = new Set(disks.filter(({ readOnly }) => readOnly).map(({ file }) => file));
  const own = [...layers.keys()].filter((file) => !shared.has(file));
  return [...new Set([...writableFilesOf(disks), ...own])];
}

/**
 * Claims what a VM is and stands on, when an operation, a look or a crash has left that otherwise. Nothing is recorded
 * when it is claimed already. `below`: what a look has found it to read; absent when nobody has looked.
 *
 * @throws {Refusal} `image-taken` when another VM stands on a part of it
 */
export async function claimWhatItIs(
  ledgers: Ledgers,
  vm: Readonly<Vm> & { readonly below?: readonly string[] | undefined },
  asked: () => Asked,
): Promise<void> {
  const { state: registry } = await ledgers.registry.state(REGISTRY_STREAM);
  const claim = registry.claims.get(vm.id);
  if (!claim) return;
  const isSame = claim.name === vm.name && claim.monitor === vm.monitor;
  const haveSameFiles = areSame(filesOf(vm), claim.files) && areSame(vm.below ?? claim.below, claim.below);
  if (!isSame || !haveSameFiles) await claimAnew(ledgers, vm.id, vm, asked());
}

const areSame = (some: readonly string[] = [], others: readonly string[] = []): boolean =>
  some.length === others.length && some.every((file) => others.includes(file));

/** What nobody has looked at since is claimed as it was. */
async function claimAnew(ledgers: Ledgers, vmId: string, vm: Readonly<Claimed>, asked: Asked): Promise<void> {
  const { state: registry } = await ledgers.registry.state(REGISTRY_STREAM);
  const below = vm.below ?? registry.claims.get(vmId)?.below;
  const claim = { name: vm.name, monitor: vm.monitor, files: filesOf(vm), below, registration: null };
  await ledgers.registry.handle(REGISTRY_STREAM, { type: 'ClaimVm', vmId, claim }, unkeyed(asked));
}

/**
 * Forgets a VM; its images and its history stay. The claim is released only after the VM has gone.
 *
 * @throws {Refusal} `vm-unknown` `vm-busy` `vm-held`
 */
export async function forgetVm(ledgers: Ledgers, vmId: string, asked: Asked): Promise<Handled<VmEvent>> {
  const forgotten = await ledgers.vms.handle(streamOf(vmId), { type: 'ForgetVm' }, asked);
  await release(ledgers, vmId, asked);
  return forgotten;
}

async function release(ledgers: Ledgers, vmId: string, asked: Asked): Promise<void> {
  await ledgers.registry.handle(REGISTRY_STREAM, { type: 'ReleaseClaim', vmId }, unkeyed(asked));
}

/** Finishes what a crash left between the registry and a VM's own stream. Run before the doors open. */
export async function finishHalfDone(ledgers: Ledgers, asked: () => Asked): Promise<void> {
  const { state: registry } = await ledgers.registry.state(REGISTRY_STREAM);
  for (const [vmId, claim] of registry.claims) {
    if (claim.registration) await begin(ledgers, claim.registration, asked());
    const { state: vm } = await ledgers.vms.state(streamOf(vmId));
    if (vm.life === 'forgotten') await release(ledgers, vmId, asked());
    if (vm.life === 'registered') await claimOrLeave(ledgers, vm, asked);
  }
}

/** A start does not fail of two VMs that stand on one file: whoever works on them tells of it. */
async function claimOrLeave(ledgers: Ledgers, vm: Readonly<Vm>, asked: () => Asked): Promise<void> {
  try {
    await claimWhatItIs(ledgers, vm, asked);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}
