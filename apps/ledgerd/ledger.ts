import { type EventStore, type Ledger, openLedger, type Recorded, type StateStore } from '#event-store';
import {
  type Command,
  decide,
  decideRegistry,
  emptyRegistry,
  evolve,
  evolveRegistry,
  readRegistryEvent,
  readVmEvent,
  type Registry,
  type RegistryCommand,
  type RegistryEvent,
  SCHEMA_VERSION,
  unborn,
  type Vm,
  type VmEvent,
} from '#ledger';
import type { World } from '#world';

/** Bumped whenever `evolve` changes what it makes of an event: states kept by older programs are dropped. */
const EVOLVE_VERSION = 3;

/** What one VM, one snapshot and one name cost in memory, roughly and rather too much. */
const VM_BYTES = 4096;
const SNAPSHOT_BYTES = 2048;
const USED_ID_BYTES = 120;
const CLAIM_BYTES = 2048;

export const REGISTRY_STREAM = 'registry';

const VM_STREAM_PREFIX = 'vm-';

/** The stream that holds everything that ever happened to one VM. */
export const streamOf = (vmId: string): string => `${VM_STREAM_PREFIX}${vmId}`;

/** The VM whose stream this is; null for the registry. */
export const vmOf = (stream: string): string | null =>
  stream.startsWith(VM_STREAM_PREFIX) ? stream.slice(VM_STREAM_PREFIX.length) : null;

export type VmLedger = Ledger<Vm, Command, VmEvent>;
export type RegistryLedger = Ledger<Registry, RegistryCommand, RegistryEvent>;

/** The two kinds of streams: one per VM, and one for what must be unique across VMs. */
export interface Ledgers {
  readonly vms: VmLedger;
  readonly registry: RegistryLedger;
}

export interface LedgersOptions {
  readonly world: World;
  readonly store: EventStore;
  readonly states?: StateStore;
}

/** Opens both over one store. The store stays the caller's to close. */
export function openLedgers({ world, store, states }: LedgersOptions): Ledgers {
  const kept = states ? { states } : {};
  return {
    vms: openLedger<Vm, Command, VmEvent>({
      world,
      store,
      ...kept,
      decider: {
        version: EVOLVE_VERSION,
        initial: unborn,
        evolve: (vm, event: Recorded<VmEvent>) => evolve(vm, event),
        decide,
        read: readVmEvent,
        schemaVersionOf: () => SCHEMA_VERSION,
        sizeBytes: ({ snapshots, usedIds, loadIds }) =>
          VM_BYTES + snapshots.size * SNAPSHOT_BYTES + (usedIds.size + loadIds.size) * USED_ID_BYTES,
      },
    }),
    registry: openLedger<Registry, RegistryCommand, RegistryEvent>({
      world,
      store,
      ...kept,
      decider: {
        version: EVOLVE_VERSION,
        initial: emptyRegistry,
        evolve: (registry, event: Recorded<RegistryEvent>) => evolveRegistry(registry, event),
        decide: decideRegistry,
        read: readRegistryEvent,
        schemaVersionOf: () => SCHEMA_VERSION,
        sizeBytes: ({ claims, released }) => claims.size * CLAIM_BYTES + released.size * USED_ID_BYTES,
      },
    }),
  };
}

/** A VM as it is now, for whoever looks at it for a while: the ledger's state goes on changing. */
export const frozen = (vm: Readonly<Vm>): Vm => ({
  ...vm,
  snapshots: new Map([...vm.snapshots].map(([id, snapshot]) => [id, { ...snapshot }])),
  layers: new Map(vm.layers),
});
