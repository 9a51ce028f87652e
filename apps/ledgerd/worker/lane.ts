import type { Asked, Handled } from '#event-store';
import { Fenced, type Hypervisor, type Journal, NotNow } from '#hypervisor';
import { Refusal, type OpenOperation, type Report, type Vm, type VmEvent } from '#ledger';
import type { World } from '#world';
import { frozen, type Ledgers, streamOf } from '../ledger.ts';
import { claimWhatItIs } from '../registration.ts';
import { Backoff } from './backoff.ts';
import { expired, START_DEADLINE_MS } from './expired.ts';
import type { WorkerLog } from './log.ts';
import { Nap } from './nap.ts';
import type { Places } from '../places.ts';
import { busyWith, reconcile, type Reconciling } from './reconcile.ts';
import { type AskedRepair, repair, type Repaired } from './repair.ts';
import { stopping, Wishes } from './wishes.ts';

/** From then on an operation that has begun shows as `Overdue`. Only evidence ends it. */
const OVERDUE_AFTER_MS = 600_000;
/** While an operation is open, its machine is looked at no more and no less often than this. */
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;
/** What a held operation left behind is tried again ever more seldom, for as long as the hold lasts. */
const LEFTOVER_FIRST_MS = 5_000;
const LEFTOVER_MAX_MS = 600_000;

export interface LaneOptions {
  readonly vmId: string;
  readonly world: World;
  readonly ledgers: Ledgers;
  readonly hypervisor: Hypervisor;
  readonly host: string;
  readonly log: WorkerLog;
  readonly places: Places;
  readonly signal: AbortSignal;
}

export interface Progress {
  readonly operationId: string;
  readonly phase: string;
  /** 0 to 100; null while nobody can say. */
  readonly percent: number | null;
}

/** Whether to go on at once, and if not, how long to wait. */
type Next = 'again' | 'rest' | { readonly afterMs: number };

/** Carries out one VM's operations, one after the other. Another VM's slow merge never delays it. */
export class Lane {
  readonly vmId: string;
  readonly #options: LaneOptions;
  #running: Promise<void> | null = null;
  #isWoken = false;
  readonly #nap: Nap;
  /** When this worker first met the open operation, on the monotonic clock, and whether that has begun by now. */
  #met: { readonly operationId: string; readonly at: number; hasBegun: boolean } | null = null;
  /** What the last look found the machine to read below what it writes. */
  #below: readonly string[] | undefined;
  #lastObstacle = 'no worker came to it in time';
  #leftoverBackoff: Backoff | null = null;
  readonly #wishes = new Wishes();
  /** What is being carried out right now, or waits for its place. */
  #current: OpenOperation | null = null;
  progress: Progress | null = null;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#nap = new Nap(options);
    this.vmId = options.vmId;
  }

  /** Whether what has begun takes longer than it should, be it that nobody answers or that there is so much to copy. */
  get isOverdue(): boolean {
    return this.#met?.hasBegun === true && this.#sinceMs(this.#met.at) > OVERDUE_AFTER_MS;
  }

  /** Looks at the to-do list now, or again as soon as the present round is over. */
  wake(): void {
    if (this.#options.signal.aborted) return;
    this.#isWoken = true;
    this.#nap.end();
    this.#running ??= this.#run();
  }

  /**
   * Looks at the whole VM, never while something is carried out on it: nobody waits for that. Throws as `reconcile`
   * does, and `host-unreachable` when too many wait for the same, or the worker stops.
   */
  reconcile(asked: Asked): Promise<Handled<VmEvent>> {
    return this.#whileIdle(() => reconcile(this.#reconciling, this.vmId, asked));
  }

  /** Removes what a look finds and nobody needs. */
  repair(asked: AskedRepair): Promise<Repaired> {
    return this.#whileIdle(() => repair(this.#reconciling, this.vmId, asked));
  }

  get #reconciling(): Reconciling {
    return { ...this.#options, reads: (below) => void (this.#below = below) };
  }

  #whileIdle<T>(work: () => Promise<T>): Promise<T> {
    if (this.#current) return Promise.reject(busyWith(this.#current));
    if (this.#options.signal.aborted) return Promise.reject(stopping());
    const done = this.#wishes.add(work);
    this.wake();
    return done;
  }

  /** Resolves when nothing is being carried out. */
  async idle(): Promise<void> {
    this.#nap.end();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#options;
    const backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
    while (!signal.aborted && this.#isWoken) {
      this.#isWoken = false;
      try {
        const next = await this.#round(backoff);
        if (next === 'rest') continue; // Unless somebody woke us meanwhile, the loop ends here.
        this.#isWoken = true;
        if (next !== 'again') await this.#nap.take(next.afterMs);
      } catch (error) {
        log.trouble('the worker could not finish a round and tries again', error, { vmId: this.vmId });
        this.#isWoken = true;
        await this.#nap.take(backoff.nextMs());
      }
    }
    this.#running = null;
    this.#wishes.refuse(stopping());
  }

  async #round(backoff: Backoff): Promise<Next> {
    const { ledgers, host } = this.#options;
    await this.#lookAround();
    const { state } = await ledgers.vms.state(streamOf(this.vmId));
    if (state.host !== host || state.life !== 'registered') return 'rest';
    if (state.operation) return this.#carryOut(frozen(state), state.operation, backoff);
    this.#forget();
    await this.#claim(state);
    if (state.hold && state.hold.leftovers.length > 0) return this.#removeLeftovers(frozen(state));
    this.#leftoverBackoff = null;
    return 'rest';
  }

  /** What another VM has is told to the operator: nobody can take it away from either. */
  async #claim(vm: Readonly<Vm>): Promise<void> {
    const { ledgers, host, world, log } = this.#options;
    const by = { actor: `worker:${host}`, request: { by: 'claim' } };
    try {
      await claimWhatItIs(ledgers, { ...vm, below: this.#below }, () => ({
        ...by,
        correlationId: world.ids.uuid(),
      }));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      log.told('a VM stands on files that are claimed for another', { vmId: this.vmId, why: error.message });
    }
  }

  async #lookAround(): Promise<void> {
    for (const { grant } of this.#wishes.take()) await grant();
  }

  async #carryOut(vm: Vm, operation: OpenOperation, backoff: Backoff): Promise<Next> {
    if (this.#waitedMs(operation) > START_DEADLINE_MS && operation.started === null) {
      await this.#report(operation, expired(operation.id, this.#lastObstacle));
      return 'again';
    }
    this.#occupy(operation);
    const leave = await this.#options.places.take();
    try {
      const report = await this.#carriedOut(vm, operation);
      await this.#report(operation, report);
      backoff.reset();
      return 'again';
    } catch (error) {
      return this.#afterTrouble(error, operation, backoff);
    } finally {
      leave();
    }
  }

  /** Whoever wants a look from here on would wait for as long as this takes. */
  #occupy(operation: OpenOperation): void {
    this.#current = operation;
    this.#wishes.refuse(busyWith(operation));
  }

  async #carriedOut(vm: Vm, operation: OpenOperation): Promise<Report> {
    try {
      return await this.#options.hypervisor.carryOut(vm, { ...operation }, this.#journal(operation));
    } finally {
      this.#current = null;
    }
  }

  #afterTrouble(error: unknown, operation: OpenOperation, backoff: Backoff): Next {
    if (error instanceof Fenced) return 'again'; // Somebody else ended it or owns it: the log says what is next.
    if (!(error instanceof NotNow)) throw error;
    this.#lastObstacle = error.message;
    this.#options.log.told('an operation waits', {
      vmId: this.vmId,
      operationId: operation.id,
      why: error.message,
    });
    return { afterMs: Math.max(error.afterMs, backoff.nextMs()) };
  }

  #journal(operation: OpenOperation): Journal {
    return {
      disks: (found) => this.#ask(operation, { type: 'ReportDisks', ...found }),
      begin: async (start) => {
        if (this.#options.signal.aborted) throw new Fenced('this worker is stopping');
        await this.#askOrFenced(operation, { type: 'StartOperation', start });
        if (this.#met) this.#met.hasBegun = true;
      },
      pinned: (pinned) => this.#askOrFenced(operation, { type: 'ReportPinned', pinned }),
      loaded: (content) => this.#askOrFenced(operation, { type: 'ReportContentLoaded', content }),
      progress: ({ phase, percent }) => {
        this.progress = { operationId: operation.id, phase, percent };
      },
    };
  }

  async #askOrFenced(operation: OpenOperation, report: Report): Promise<void> {
    try {
      await this.#ask(operation, report);
    } catch (error) {
      if (error instanceof Refusal) throw new Fenced(error.message);
      throw error;
    }
  }

  async #report(operation: OpenOperation, report: Report): Promise<void> {
    const { world, log } = this.#options;
    await world.fault('worker.before-report');
    await this.#ask(operation, report);
    await world.fault('worker.after-report');
    log.told('an operation ended', { vmId: this.vmId, operationId: operation.id, how: report.type });
    this.#forget();
    if (report.type === 'ReportFailed' && report.failed.reason === 'vm-held') this.#suspect();
  }

  /** What an operation found wrong is recorded with all else that a look finds. */
  #suspect(): void {
    const { log } = this.#options;
    this.reconcile(this.#asked(this.vmId, '')).catch((error: unknown) => {
      const said = 'a VM could not be looked at';
      if (error instanceof Refusal) log.told(said, { vmId: this.vmId, why: error.message });
      else log.trouble(said, error, { vmId: this.vmId });
    });
  }

  async #removeLeftovers(vm: Vm): Promise<Next> {
    const { hypervisor } = this.#options;
    const hold = vm.hold;
    const backoff = (this.#leftoverBackoff ??= new Backoff(LEFTOVER_FIRST_MS, LEFTOVER_MAX_MS));
    for (const { device, file, tag } of await hypervisor.removeLeftovers(vm)) {
      const leftover = { snapshotId: null, device, file, tag };
      const asked = this.#asked(hold?.operationId ?? this.vmId, '');
      await this.#options.ledgers.vms.handle(
        streamOf(this.vmId),
        { type: 'ReportLeftoverRemoved', leftover },
        asked,
      );
    }
    return { afterMs: backoff.nextMs() };
  }

  async #ask(operation: OpenOperation, report: Report): Promise<void> {
    const asked = this.#asked(operation.id, operation.requestId);
    await this.#options.ledgers.vms.handle(streamOf(this.vmId), report, asked);
  }

  #asked(correlationId: string, causationId: string) {
    return { actor: `worker:${this.#options.host}`, correlationId, causationId, request: { by: 'worker' } };
  }

  #waitedMs({ id, started }: OpenOperation): number {
    if (this.#met?.operationId !== id) {
      this.#met = { operationId: id, at: this.#options.world.clock.monotonic(), hasBegun: started !== null };
    }
    return this.#sinceMs(this.#met.at);
  }

  #sinceMs(at: number): number {
    return this.#options.world.clock.monotonic() - at;
  }

  #forget(): void {
    this.#met = null;
    this.progress = null;
  }
}
