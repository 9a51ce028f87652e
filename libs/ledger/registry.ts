import type { RegistryEvent } from './events.ts';
import { requireName } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireRegistration } from './register.ts';

/** What one VM holds that no other may have. */
export interface Claim {
  readonly name: string;
  readonly monitor: string;
  readonly files: readonly string[];
  /** Files that it reads and does not write, which others may read too. Absent: none that we know of. */
  readonly below?: readonly string[] | undefined;
  /** Kept until the VM's own stream begins: what a half-done registration is finished with. */
  readonly registration: Extract<RegistryEvent, { type: 'VmClaimed' }>['data']['registration'];
}

export interface Registry {
  readonly claims: Map<string, Claim>;
  /** Ids of VMs that were forgotten: never given again. */
  readonly released: Set<string>;
}

export type RegistryCommand =
  | { readonly type: 'ClaimVm'; readonly vmId: string; readonly claim: Claim }
  | { readonly type: 'ReleaseClaim'; readonly vmId: string };

export const emptyRegistry = (): Registry => ({ claims: new Map(), released: new Set() });

/** The registry after one more event; owns and changes the state it is given. */
export function evolveRegistry(registry: Registry, event: RegistryEvent): Registry {
  switch (event.type) {
    case 'VmClaimed': {
      const { vmId, ...claim } = event.data;
      registry.claims.set(vmId, claim);
      return registry;
    }
    case 'ClaimReleased':
      registry.claims.delete(event.data.vmId);
      registry.released.add(event.data.vmId);
      return registry;
  }
}

/**
 * What must be unique across VMs. A claim of the same VM replaces its earlier one.
 *
 * @throws {Refusal} `name-taken` `monitor-taken` `image-taken` `id-used` `vm-unknown`, and what a registration is
 *   refused with
 */
export function decideRegistry(command: RegistryCommand, registry: Registry): RegistryEvent[] {
  const { vmId } = command;
  switch (command.type) {
    case 'ClaimVm':
      return claimVm(command, registry);
    case 'ReleaseClaim':
      return registry.claims.has(vmId) ? [{ type: 'ClaimReleased', data: { vmId } }] : [];
  }
}

function claimVm(
  { vmId, claim }: Extract<RegistryCommand, { type: 'ClaimVm' }>,
  registry: Registry,
): RegistryEvent[] {
  const known = registry.claims.get(vmId);
  requireName(claim.name);
  if (claim.registration) requireRegistration(claim.registration);
  if (registry.released.has(vmId)) throw new Refusal('id-used', `the id ${vmId} was given to a VM before`);
  if (known && claim.registration) throw new Refusal('id-used', `the id ${vmId} is a VM's already`);
  if (!known && !claim.registration) throw new Refusal('vm-unknown', 'there is no such VM');
  for (const [otherId, other] of registry.claims) {
    if (otherId !== vmId) requireApart(claim, other, otherId);
  }
  return known && isSameClaim(known, claim) ? [] : [claimed(vmId, claim)];
}

function claimed(vmId: string, { below = [], files, ...rest }: Claim): RegistryEvent {
  const read = below.length > 0 ? { below: [...below] } : {};
  return { type: 'VmClaimed', data: { vmId, ...rest, files: [...files], ...read } };
}

function requireApart(claim: Claim, other: Claim, vmId: string): void {
  const whose = { vmId };
  if (claim.name === other.name)
    throw new Refusal('name-taken', `VM ${vmId} is called "${claim.name}" already`, whose);
  if (claim.monitor === other.monitor) {
    throw new Refusal('monitor-taken', `the monitor ${claim.monitor} is VM ${vmId}'s`, whose);
  }
  const shared = claim.files.find((file) => other.files.includes(file));
  if (shared !== undefined) throw new Refusal('image-taken', `the image ${shared} is VM ${vmId}'s`, whose);
}

const isSameClaim = (one: Claim, other: Claim): boolean =>
  one.name === other.name &&
  one.monitor === other.monitor &&
  areSame(one.files, other.files) &&
  areSame(one.below ?? [], other.below ?? []);

/** Whatever their order. */
const areSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.every((file) => others.includes(file)) && others.every((file) => some.includes(file));
