import {
  type EventStore,
  type Handled,
  KeyReused,
  type Json,
  type MemoryDisk,
  openMemoryStates,
  openMemoryStore,
  type PersistedState,
  StaleVersion,
  StoreTrouble,
} from '#event-store';
import { type Hypervisor, openHypervisor, type Plan } from '#hypervisor';
import { afterwards, type Command, type DataOf, isRetryable, Refusal, type VmEvent } from '#ledger';
import type { Views } from '#views';
import { ConnectTrouble, FileTrouble, type World } from '#world';
import { type Ledgers, openLedgers, REGISTRY_STREAM, streamOf } from '../../apps/ledgerd/ledger.ts';
import { finishHalfDone, registerVm } from '../../apps/ledgerd/registration.ts';
import { startWorker, type Worker } from '../../apps/ledgerd/worker/worker.ts';
import { placeInWords, type Standing } from './standing.ts';
import type { ViewsOnDisk } from './views-on-disk.ts';
import type { Wish } from './wish.ts';

/** What outlives the process. */
export interface Installation {
  readonly disk: MemoryDisk;
  readonly states: Map<string, PersistedState>;
  /** Null: this one keeps no views. */
  readonly views: ViewsOnDisk | null;
  readonly meddle: Meddle;
  /** Whether it may start and end machines. */
  readonly hasLauncher: boolean;
  /** Is told what somebody has accepted that an operation is to do. */
  readonly onPlan: (operationId: string, plan: Plan) => void;
}

/** The operator's two commands. */
export const LAUNCHER = { start: ['start-machine'], stop: ['stop-machine'] } as const;

/** Puts something broken in place of the hypervisor, to see whether anybody notices. */
export type Meddle = (hypervisor: Hypervisor) => Hypervisor;

/** What a caller is told. */
export type Answer =
  | { readonly kind: 'recorded'; readonly operationId: string; readonly eventIds: readonly string[] }
  | { readonly kind: 'refused'; readonly code: string; readonly operationId: string }
  | { readonly kind: 'unavailable'; readonly why: string };

export const HOST = 'host-1';
const SNAPSHOTS_MAX = 200;
type Recorded = Handled<VmEvent>['events'][number];
type Asking = Parameters<typeof registerVm>[2];

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
  readonly #onPlan: Installation['onPlan'];

  private constructor(parts: {
    world: World;
    store: EventStore;
    ledgers: Ledgers;
    views: Views | null;
    hypervisor: Hypervisor;
    worker: Worker;
    onPlan: Installation['onPlan'];
  }) {
    this.#world = parts.world;
    this.#store = parts.store;
    this.#ledgers = parts.ledgers;
    this.#views = parts.views;
    this.#hypervisor = parts.hypervisor;
    this.#worker = parts.worker;
    this.#onPlan = parts.onPlan;
  }

  /** Throws `StoreTrouble` when the store is not to be had: a process would end then. */
  static async boot(
    world: World,
    { disk, states, views: kept, meddle, hasLauncher, onPlan }: Installation,
  ): Promise<Core> {
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
        socketsDir: '/run/ledgerd',
        ...(hasLauncher && { launcher: LAUNCHER }),
      }),
    );
    await finishHalfDone(ledgers, () => askedBySweep(world));
    const log = { told: () => undefined, trouble: () => undefined };
    const worker = startWorker({
      ...{ world, store, ledgers, hypervisor, host: HOST, log },
      reconcileEveryMs: 0,
    });
    await worker.ready;
    return new Core({ world, store, ledgers, views, hypervisor, worker, onPlan });
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
    const places = [...vm.snapshots.values()].map((snapshot) => placeInWords(snapshot.id, snapshot));
    const leftovers = vm.hold?.leftovers.map(({ file, tag }) => `${file} ${tag}`) ?? [];
    return { currentId: vm.current.id, places, leftovers, isHeld: vm.hold !== null };
  }

  /** As the HTTP door would: a request becomes a command, what comes of it an answer. */
  async ask(vmId: string, wish: Wish, key: string, expectedVersion?: number): Promise<Answer> {
    const operationId = this.#world.ids.uuid();
    const by = { actor: 'http:caller', correlationId: operationId, key, request: wish as Json };
    const asked = { ...by, ...(expectedVersion !== undefined && { expectedVersion }) };
    try {
      const { events } = await this.#do(vmId, wish, { asked, operationId });
      const eventIds = events.map(({ id }) => id);
      return { kind: 'recorded', operationId: events[0]?.correlationId ?? operationId, eventIds };
    } catch (error) {
      if (isTrouble(error)) return { kind: 'unavailable', why: error.message };
      if (error instanceof StaleVersion) return { kind: 'refused', code: 'stale', operationId };
      if (error instanceof KeyReused || !(error instanceof Refusal)) throw error;
      if (isRetryable(error.code) && error.code !== 'vm-busy')
        return { kind: 'unavailable', why: error.message };
      return { kind: 'refused', code: error.code, operationId };
    }
  }

  #handle(vmId: string, command: Command, asked: Asking): Promise<Handled<VmEvent>> {
    if (TAKES_A_MACHINE.has(command.type)) this.#worker.expect(vmId, command);
    return this.#ledgers.vms.handle(streamOf(vmId), command, asked);
  }

  async #do(
    vmId: string,
    wish: Wish,
    { asked, operationId }: { asked: Asking; operationId: string },
  ): Promise<{ readonly events: readonly Pick<Recorded, 'id' | 'correlationId'>[] }> {
    if (wish.what === 'register') return this.#register(vmId, wish, asked);
    if (wish.what === 'reconcile') return this.#worker.reconcile(vmId, asked);
    const { vms } = this.#ledgers;
    if (wish.what === 'cancel') return this.#cancel(vmId, asked);
    const command = this.#commandOf(wish, operationId);
    if (!('isPlanned' in wish)) return this.#handle(vmId, command, asked);
    const answered = await vms.answered(streamOf(vmId), asked);
    return answered ?? this.#asPlanned(vmId, command, asked);
  }

  /** What nobody has begun is called off in the log; what copies is told to end. */
  async #cancel(vmId: string, asked: Asking): Promise<Pick<Handled<VmEvent>, 'events'>> {
    const { vms } = this.#ledgers;
    const { state: vm } = await vms.state(streamOf(vmId));
    if (!vm.operation) return { events: [] };
    if (!vm.operation.started)
      return vms.handle(streamOf(vmId), { type: 'CancelOperation', operationId: vm.operation.id }, asked);
    await this.#hypervisor.cancel(vm, vm.operation);
    return { events: [] };
  }

  /** A plan is made, and accepted at once. */
  async #asPlanned(vmId: string, command: Command, asked: Asking): Promise<Handled<VmEvent>> {
    const { vms } = this.#ledgers;
    const { state } = await vms.state(streamOf(vmId));
    const { vm, operation } = afterwards(state, command);
    const plan = operation && (await this.#hypervisor.plan(vm, operation));
    if (operation && plan) this.#onPlan(operation.id, plan);
    const basis = plan?.basis ?? '';
    return vms.handle(streamOf(vmId), { ...command, plan: { hash: basis, basis } } as Command, asked);
  }

  async #register(
    vmId: string,
    { name, monitor, guestAgent, disks }: Extract<Wish, { what: 'register' }>,
    asked: Asking,
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
      guestAgent,
      labels: {},
      disks: found.disks,
      foreignTags: found.foreignTags,
    };
    return registerVm(this.#ledgers, registration, asked);
  }

  #commandOf(
    wish: Exclude<Wish, { what: 'register' | 'reconcile' | 'cancel' }>,
    operationId: string,
  ): Command {
    switch (wish.what) {
      case 'create': {
        const { what: _, isPlanned: __, ...rest } = wish;
        const snapshotId = this.#world.ids.uuid();
        const limits = { snapshotsMax: SNAPSHOTS_MAX, chainMax: 64 };
        return { type: 'CreateSnapshot', snapshotId, operationId, limits, ...rest };
      }
      case 'load': {
        const { what: _, isPlanned: __, safety, ...rest } = wish;
        const pin = safety === 'none' ? {} : { pin: { snapshotId: this.#world.ids.uuid(), what: safety } };
        return { type: 'LoadSnapshot', operationId, ...rest, ...pin };
      }
      case 'delete': {
        const { what: _, isPlanned: __, ...rest } = wish;
        return { type: 'DeleteSnapshot', operationId, ...rest };
      }
      case 'delete-all':
        return { type: 'DeleteAllSnapshots', operationId };
      case 'rename': {
        const { what: _, ...patch } = wish;
        return { type: 'PatchSnapshot', ...patch };
      }
      case 'unretire':
        return { type: 'UnretireSnapshot', snapshotId: wish.snapshotId };
      case 'release':
        return { type: 'ReleaseHold', note: 'a person has looked' };
    }
  }
}

/** What a caller hears of as an error of the server. */
const isTrouble = (error: unknown): error is Error =>
  error instanceof StoreTrouble || error instanceof FileTrouble || error instanceof ConnectTrouble;

const askedBySweep = (world: World) => ({
  actor: 'ledgerd:start',
  correlationId: world.ids.uuid(),
  request: { by: 'start' },
});
