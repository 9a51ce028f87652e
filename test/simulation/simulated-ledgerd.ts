import {
  type Asked,
  type Handled,
  type EventStore,
  KeyReused,
  type Json,
  type MemoryDisk,
  openMemoryStates,
  openMemoryStore,
  type PersistedState,
  StoreTrouble,
} from '#event-store';
import { type Hypervisor, openHypervisor } from '#hypervisor';
import { type Command, type DataOf, isRetryable, Refusal, type VmEvent } from '#ledger';
import type { Views } from '#views';
import type { World } from '#world';
import { type Ledgers, openLedgers, REGISTRY_STREAM, streamOf } from '../../apps/ledgerd/ledger.ts';
import { finishHalfDone, registerVm } from '../../apps/ledgerd/registration.ts';
import { startWorker, type Worker } from '../../apps/ledgerd/worker/worker.ts';
import type { Standing } from './book.ts';
import type { ViewsOnDisk } from './views-on-disk.ts';
import type { Wish } from './wish.ts';

/** What outlives the process. */
export interface Installation {
  readonly disk: MemoryDisk;
  readonly states: Map<string, PersistedState>;
  /** Null: this one keeps no views. */
  readonly views: ViewsOnDisk | null;
  readonly meddle: Meddle;
}

/** Puts something broken in place of the hypervisor, to see whether anybody notices. */
export type Meddle = (hypervisor: Hypervisor) => Hypervisor;

/** What a caller is told. */
export type Answer =
  | { readonly kind: 'recorded'; readonly operationId: string; readonly eventIds: readonly string[] }
  | { readonly kind: 'refused'; readonly code: string; readonly operationId: string }
  | { readonly kind: 'unavailable'; readonly why: string };

export const HOST = 'host-1';
const SNAPSHOTS_MAX = 200;
const TAKES_A_MACHINE: ReadonlySet<Command['type']> = new Set([
  'CreateSnapshot',
  'LoadSnapshot',
  'DeleteSnapshot',
  'DeleteAllSnapshots',
]);

/** ledgerd without its doors: store, ledgers, views, hypervisor and worker as its `main.ts` puts them together. */
export class Core {
  readonly #world: World;
  readonly #store: EventStore;
  readonly #ledgers: Ledgers;
  readonly #views: Views | null;
  readonly #hypervisor: Hypervisor;
  readonly #worker: Worker;

  private constructor(parts: {
    world: World;
    store: EventStore;
    ledgers: Ledgers;
    views: Views | null;
    hypervisor: Hypervisor;
    worker: Worker;
  }) {
    this.#world = parts.world;
    this.#store = parts.store;
    this.#ledgers = parts.ledgers;
    this.#views = parts.views;
    this.#hypervisor = parts.hypervisor;
    this.#worker = parts.worker;
  }

  /** Throws `StoreTrouble` when the store is not to be had: a process would end then. */
  static async boot(world: World, { disk, states, views: kept, meddle }: Installation): Promise<Core> {
    const store = openMemoryStore(world, disk);
    const ledgers = openLedgers({ world, store, states: openMemoryStates(states) });
    const views = kept && (await kept.open(world, store));
    const hypervisor = meddle(
      openHypervisor({
        world,
        monitorRoots: ['/run/vms'],
        imageRoots: ['/images'],
        worker: HOST,
        transcriptsDir: '/data/transcripts',
      }),
    );
    await finishHalfDone(ledgers, () => askedBySweep(world));
    const log = { told: () => undefined, trouble: () => undefined };
    const worker = startWorker({
      ...{ world, store, ledgers, hypervisor, host: HOST, log },
      reconcileEveryMs: 0,
    });
    await worker.ready;
    return new Core({ world, store, ledgers, views, hypervisor, worker });
  }

  /** SIGTERM: what is not finished stays open in the log. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await this.#hypervisor.close();
    await this.#views?.close();
    await this.#ledgers.vms.close();
    await this.#ledgers.registry.close();
    await this.#store.close();
  }

  async standing(vmId: string): Promise<Standing> {
    const { state: vm } = await this.#ledgers.vms.state(streamOf(vmId));
    return { currentId: vm.current.id, snapshotIds: [...vm.snapshots.keys()], isHeld: vm.hold !== null };
  }

  /** As the HTTP door would: a request becomes a command, what comes of it an answer. */
  async ask(vmId: string, wish: Wish, key: string): Promise<Answer> {
    const operationId = this.#world.ids.uuid();
    const asked = { actor: 'http:caller', correlationId: operationId, key, request: wish as Json };
    try {
      const { events } =
        wish.what === 'register'
          ? await this.#register(vmId, wish, asked)
          : await this.#handle(vmId, this.#commandOf(wish, operationId), asked);
      const eventIds = events.map(({ id }) => id);
      return { kind: 'recorded', operationId: events[0]?.correlationId ?? operationId, eventIds };
    } catch (error) {
      if (error instanceof StoreTrouble) return { kind: 'unavailable', why: error.message };
      if (error instanceof KeyReused || !(error instanceof Refusal)) throw error;
      if (isRetryable(error.code) && error.code !== 'vm-busy')
        return { kind: 'unavailable', why: error.message };
      return { kind: 'refused', code: error.code, operationId };
    }
  }

  #handle(vmId: string, command: Command, asked: Asked): Promise<Handled<VmEvent>> {
    if (TAKES_A_MACHINE.has(command.type)) this.#worker.expect(vmId, command);
    return this.#ledgers.vms.handle(streamOf(vmId), command, asked);
  }

  async #register(
    vmId: string,
    { name, monitor, disks }: Extract<Wish, { what: 'register' }>,
    asked: Parameters<typeof registerVm>[2],
  ): ReturnType<typeof registerVm> {
    const again = await this.#ledgers.registry.answered(REGISTRY_STREAM, asked);
    const before = again?.events.find((event) => event.type === 'VmClaimed')?.data.registration;
    if (before) return registerVm(this.#ledgers, before, asked);
    const found = await this.#hypervisor.discover({ monitor, ...(disks && { disks }) });
    const registration: DataOf<'VmRegistered'> = {
      vmId,
      name,
      host: HOST,
      monitor: found.monitor,
      guestAgent: null,
      labels: {},
      disks: found.disks,
      foreignTags: found.foreignTags,
    };
    return registerVm(this.#ledgers, registration, asked);
  }

  #commandOf(wish: Exclude<Wish, { what: 'register' }>, operationId: string): Command {
    switch (wish.what) {
      case 'create': {
        const { what: _, ...rest } = wish;
        const snapshotId = this.#world.ids.uuid();
        const limits = { snapshotsMax: SNAPSHOTS_MAX, chainMax: 64 };
        return { type: 'CreateSnapshot', snapshotId, operationId, limits, ...rest };
      }
      case 'load': {
        const { what: _, ...rest } = wish;
        return { type: 'LoadSnapshot', operationId, ...rest };
      }
      case 'delete': {
        const { what: _, ...rest } = wish;
        return { type: 'DeleteSnapshot', operationId, ...rest };
      }
      case 'delete-all':
        return { type: 'DeleteAllSnapshots', operationId };
      case 'rename':
        return { type: 'PatchSnapshot', snapshotId: wish.snapshotId, name: wish.name };
      case 'release':
        return { type: 'ReleaseHold', note: 'a person has looked' };
    }
  }
}

const askedBySweep = (world: World) => ({
  actor: 'ledgerd:start',
  correlationId: world.ids.uuid(),
  request: { by: 'start' },
});
