import type { Asked, Handled } from '#event-store';
import { Fenced, type Hypervisor, type Journal, NotNow } from '#hypervisor';
import { Refusal, type OpenOperation, type Report, type Vm, type VmEvent } from '#ledger';
import type { World } from '#world';
import { frozen, type Ledgers, streamOf } from '../ledger.ts';
import { claimWhatItIs } from '../registration.ts';
import { Backoff } from './backoff.ts';
import { expired } from './expired.ts';
import { tellUnseen, type WorkerLog } from './log.ts';
import { MachineLock } from './machine-lock.ts';
import { Nap } from './nap.ts';
import { Meeting } from './meeting.ts';
import type { Places } from '../places.ts';
import { busyWith, reconcile, type Reconciling } from './reconcile.ts';
import { type AskedRepair, repair, type Repaired } from './repair.ts';
import { Reports } from './reports.ts';
import { stopping, Wishes } from './wishes.ts';

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
  readonly lock: MachineLock;
  readonly #options: LaneOptions;
  #running: Promise<void> | null = null;
  #isWoken = false;
  readonly #nap: Nap;
  readonly #meeting: Meeting;
  readonly #reports: Reports;
  /** What the last look found the machine to read below what it writes. */
  #below: readonly string[] | undefined;
  readonly #leftovers = new Backoff(LEFTOVER_FIRST_MS, LEFTOVER_MAX_MS);
  readonly #wishes = new Wishes();
  /** What is being carried out right now, or waits for its place. */
  #current: OpenOperation | null = null;
  progress: Progress | null = null;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#nap = new Nap(options);
    this.lock = new MachineLock(options.world);
    this.#meeting = new Meeting(options.world);
    this.#reports = new Reports(options);
    this.vmId = options.vmId;
  }

  /** Whether what has begun takes longer than it should, be it that nobody answers or that there is so much to copy. */
  get isOverdue(): boolean {
    return this.#meeting.isOverdue;
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
    return { ...this.#options, lock: this.lock, reads: (below) => void (this.#below = below) };
  }

  #whileIdle<T>(work: () => Promise<T>): Promise<T> {
    if (this.#current) return Promise.reject(busyWith(this.#current));
    if (this.#options.signal.aborted) return Promise.reject(stopping());
    const done = this.#wishes.add(work);
    this.wake();
    return done;
  }

  /** Resolves when nothing is being carried out, and another worker may have the machine. */
  async end(): Promise<void> {
    this.#nap.end();
    await this.#running;
    this.lock.release();
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#options;
    const backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
    while (!signal.aborted && this.#isWoken) {
      this.#isWoken = false;
      try {
        const next = await this.#round(backoff);
        if (next === 'rest') continue; // Unless somebody woke us meanwhile, the loop ends here.
        if (next !== 'again' && !this.#isWoken) await this.#nap.take(next.afterMs);
        this.#isWoken = true;
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
    const before = await this.#readOurs();
    if (before && !this.lock.isFor(before.monitor)) {
      const rival = await this.lock.take(before.monitor);
      return rival === null ? 'again' : this.#leaveTo(rival, before, backoff);
    }
    const state = (await this.#lookAround()) ? await this.#ours() : before;
    if (!state || !this.lock.isFor(state.monitor)) {
      this.lock.release();
      return state ? 'again' : 'rest';
    }
    if (state.operation) return this.#carryOut(frozen(state), state.operation, backoff);
    this.#forget();
    await this.#claim(state);
    if (state.hold && state.hold.leftovers.length > 0) return this.#removeLeftovers(frozen(state));
    this.#leftovers.reset();
    return 'rest';
  }

  /** The VM as it is now; null: it is none of this host's. */
  async #ours(): Promise<Vm | null> {
    const { ledgers, host } = this.#options;
    const { state } = await ledgers.vms.state(streamOf(this.vmId));
    return state.host === host && state.life === 'registered' ? state : null;
  }

  /** The same. Whoever wants a look is told what keeps it from being read: they would meet the same. */
  async #readOurs(): Promise<Vm | null> {
    try {
      return await this.#ours();
    } catch (error) {
      this.#wishes.refuse(error);
      throw error;
    }
  }

  /** Another worker of this host has the machine. For the same log it does what is to be done, for another one it may not. */
  async #leaveTo(why: string, { operation, hold }: Vm, backoff: Backoff): Promise<Next> {
    this.#wishes.refuse(new Refusal('host-unreachable', why));
    if (!operation) this.#forget();
    if (!operation && !hold?.leftovers.length) return 'rest';
    this.#options.log.told('a VM waits', { vmId: this.vmId, why });
    if (!operation) return { afterMs: this.#leftovers.nextMs() };
    const isExpired = this.#meeting.isExpired(operation);
    this.#meeting.obstacle = why;
    return isExpired ? this.#expire(operation) : { afterMs: backoff.nextMs() };
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

  /** Whether there was anything to be done that may have changed the VM. */
  async #lookAround(): Promise<boolean> {
    const wishes = this.#wishes.take();
    for (const { grant } of wishes) await grant();
    return wishes.length > 0;
  }

  async #carryOut(vm: Vm, operation: OpenOperation, backoff: Backoff): Promise<Next> {
    if (this.#meeting.isExpired(operation)) return this.#expire(operation);
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

  async #expire(operation: OpenOperation): Promise<Next> {
    await this.#report(operation, expired(operation.id, this.#meeting.obstacle));
    return 'again';
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
    this.#meeting.obstacle = error.message;
    const what = { vmId: this.vmId, operationId: operation.id, why: error.message };
    this.#options.log.told('an operation waits', what);
    return { afterMs: Math.max(error.afterMs, backoff.nextMs()) };
  }

  #journal(operation: OpenOperation): Journal {
    const reports = this.#reports;
    return {
      disks: (found) => reports.write(operation, { type: 'ReportDisks', ...found }),
      begin: async (start) => {
        if (this.#options.signal.aborted) throw new Fenced('this worker is stopping');
        await reports.writeOrBeFenced(operation, { type: 'StartOperation', start });
        this.#meeting.begins();
      },
      pinned: (pinned) => reports.writeOrBeFenced(operation, { type: 'ReportPinned', pinned }),
      loaded: (content) => reports.writeOrBeFenced(operation, { type: 'ReportContentLoaded', content }),
      progress: ({ phase, percent }) => {
        this.progress = { operationId: operation.id, phase, percent };
      },
    };
  }

  async #report(operation: OpenOperation, report: Report): Promise<void> {
    const { world, log } = this.#options;
    await world.fault('worker.before-report');
    await this.#reports.write(operation, report);
    await world.fault('worker.after-report');
    log.told('an operation ended', { vmId: this.vmId, operationId: operation.id, how: report.type });
    this.#forget();
    if (report.type === 'ReportFailed' && report.failed.reason === 'vm-held') this.#suspect();
  }

  /** What an operation found wrong is recorded with all else that a look finds. */
  #suspect(): void {
    const { vmId, log } = this.#options;
    this.reconcile(this.#reports.asked(vmId)).catch((error: unknown) => tellUnseen(log, vmId, error));
  }

  async #removeLeftovers(vm: Vm): Promise<Next> {
    const { hypervisor } = this.#options;
    const hold = vm.hold;
    for (const leftover of await hypervisor.removeLeftovers(vm)) {
      await this.#reports.writeGone(hold?.operationId ?? this.vmId, leftover);
    }
    return { afterMs: this.#leftovers.nextMs() };
  }

  #forget(): void {
    this.#meeting.forget();
    this.progress = null;
  }
}
