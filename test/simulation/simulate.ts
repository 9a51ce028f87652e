import { MemoryDisk, type PersistedState } from '#event-store';
import type { Plan } from '#hypervisor';
import { auditAll } from './audit.ts';
import type { Book } from './book.ts';
import { requireStanding, type Standing } from './standing.ts';
import { Caller } from './caller.ts';
import { Chance } from './chance.ts';
import { Faults, type Luck } from './faults.ts';
import { watchesForEver } from './known.ts';
import { FIRST_VM, LedgerdService } from './ledgerd-service.ts';
import { Owner } from './owner.ts';
import { History } from './history.ts';
import { Image } from './qemu/image.ts';
import { isToBeMended } from './mending.ts';
import { Reference } from './reference.ts';
import type { Script } from './script.ts';
import { Scheduler } from './scheduler.ts';
import type { Simulated, SimulateOptions } from './simulated.ts';
import { SimulatedHost } from './simulated-host.ts';
import type { Core, Meddle } from './simulated-ledgerd.ts';
import { checkShown, standingShown } from './shown.ts';
import { addLauncher } from './launcher.ts';
import { canLaunch, type Size, sizeOf } from './size.ts';
import { SimulatedVm } from './simulated-vm.ts';
import { Trace } from './trace.ts';
import { ViewsOnDisk } from './views-on-disk.ts';
import { must } from './violation.ts';

/** Events while things go wrong, and until all has come to an end afterwards. */
const EVENTS_MAX = 200_000;
/** Nothing is under way and nothing is recorded for that long: nothing will come any more. */
const QUIET_MS = 15_000;
/** How long an operation may wait for a machine that is off before its owner starts it. */
const PATIENCE_MS = 60_000;

/** One world from its first event to its rest. The same seed gives the same world, to the letter of its trace. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Simulated> {
  const universe = new Universe(seed, options);
  process.on('unhandledRejection', universe.fail); // A promise that nobody looks after would end a real process.
  try {
    await universe.live();
    return universe.told(null);
  } catch (error) {
    return universe.told(error instanceof Error ? error : new Error(String(error)));
  } finally {
    process.off('unhandledRejection', universe.fail);
    universe.end();
  }
}

class Universe {
  /** Ends this world: something was thrown that should never be thrown. */
  readonly fail = (reason: unknown): void => {
    this.#failure ??= reason instanceof Error ? reason : new Error(String(reason));
  };
  readonly #scheduler: Scheduler;
  readonly #seed: number;
  readonly #trace: Trace;
  readonly #isTraced: boolean;
  readonly #history: History;
  readonly #faults: Luck;
  readonly #host: SimulatedHost;
  readonly #disk = new MemoryDisk();
  readonly #views: ViewsOnDisk | null;
  readonly #service: LedgerdService;
  readonly #reference: Reference;
  readonly #vms = new Map<string, SimulatedVm>();
  readonly #callers: Caller[] = [];
  readonly #outcomes = new Map<string, number>();
  #read = 0;
  #lastRecordedMs = 0;
  #failure: Error | null = null;

  constructor(seed: number, options: SimulateOptions) {
    const { isTraced = false, isHashed = true, isLong = false, meddle = asItIs, mislead, script } = options;
    const chance = new Chance(seed);
    const size = sizeOf(chance, isLong, options.journey);
    this.#seed = seed;
    this.#isTraced = isTraced;
    this.#trace = new Trace({ isWhole: isTraced, isHashed });
    this.#history = new History(options.without);
    this.#faults = script?.fate ?? new Faults(chance.fork('faults'), this.#history, size.journey);
    this.#scheduler = new Scheduler(chance.fork('scheduler'), this.#trace);
    this.#host = new SimulatedHost(this.#scheduler, chance.fork('host'), this.#faults);
    const hasViews = !script && seed % size.viewsEvery === 0;
    this.#views = hasViews ? new ViewsOnDisk(this.#faults, mislead, this.fail) : null;
    const states = new Map<string, PersistedState>();
    const hasLauncher = script !== undefined || canLaunch(size, chance);
    this.#reference = new Reference(this.#vms);
    const { promised } = this.#reference;
    const onPlan = (id: string, { commands }: Plan): void => void promised.set(id, commands);
    const installation = { disk: this.#disk, states, views: this.#views, meddle, hasLauncher, onPlan };
    this.#service = new LedgerdService(this.#host, installation, this.fail);
    if (script) this.#addScripted(script);
    else this.#populate(chance.fork('population'), size);
    addLauncher(this.#host, [...this.#vms.values()]);
  }

  async live(): Promise<void> {
    this.#service.start();
    for (const caller of this.#callers) caller.live().catch(this.fail);
    await this.#until(() => this.#callers.every(({ isDone }) => isDone), 'the callers are done');
    this.#faults.heal();
    this.#scheduler.note('nothing goes wrong any more');
    this.#tick();
    await this.#until(() => this.#isQuiet(), 'all is quiet');
    for (const [vmId, book] of this.#reference.books) {
      book.checkQuiet();
      await this.#compare(vmId, book);
      for (const [what, times] of book.limits) this.#count(`limit: ${what}`, times);
    }
    if (this.#views) await this.#checkViews(this.#views);
    const logged = this.#reference.operationIds;
    auditAll(this.#disk.events);
    for (const id of this.#callers.flatMap(({ refused }) => refused))
      must(!logged.has(id), 'I19', () => `operation ${id} was refused, but the log has it`);
  }

  /** Nothing of it is left. */
  end(): void {
    this.#views?.remove();
  }

  told(violation: Error | null): Simulated {
    if (violation) this.#scheduler.note(violation.message);
    for (const { answered } of this.#callers) for (const [what, times] of answered) this.#count(what, times);
    this.#count(SECOND_CAME, this.#service.others.cameCount);
    this.#count(KEPT_AWAY, this.#host.lockedOutCount);
    const isRead = violation !== null || this.#isTraced;
    return {
      seed: this.#seed,
      violation,
      traceHash: this.#trace.digest(),
      traceLines: this.#trace.lineCount,
      trace: isRead ? this.#trace.last(Number.MAX_SAFE_INTEGER) : [],
      eventsRecorded: this.#disk.events.length,
      simulatedMs: this.#scheduler.nowMs,
      faults: this.#faults.happened,
      points: this.#service.points,
      begun: this.#faults.points.begun,
      struck: this.#faults.points.struck,
      outcomes: this.#outcomes,
      happened: this.#history.happened,
    };
  }

  #populate(chance: Chance, size: Size): void {
    for (let stops = Math.min(size.stops, chance.below(3)); stops > 0; stops -= 1) {
      const atMs = chance.betweenLog(100, 60_000);
      const name = `ledgerd-stop#${stops}`;
      this.#scheduler.after(atMs, 'ledgerd is to end', () => {
        if (this.#history.has(name)) this.#service.stop().catch(this.fail);
      });
    }
    if (!size.journey) this.#service.others.plan(chance.fork('second ledgerd'), this.#history);
    const vmsCount = Math.min(size.vms, chance.happens(0.15) ? 2 : 1);
    for (let n = 1; n <= vmsCount; n += 1) this.#addVm(chance, n, size);
  }

  /** A machine of two disks or three, on or off, with an owner who meddles and one or two callers. */
  #addVm(chance: Chance, n: number, size: Size): void {
    const { journey } = size;
    const host = this.#host;
    const [reference, history] = [this.#reference, this.#history];
    const nodes = chance.happens(0.2) ? ['da', 'db', 'dc'] : ['da', 'db'];
    const disks = nodes.map((node) => ({
      node,
      device: `dev-${node}`,
      image: new Image(`/images/vm${n}/${node}.qcow2`),
    }));
    const vm = new SimulatedVm(host, `vm${n}`, disks);
    const vmId = `00000000-0000-4000-8000-00000000000${n}`;
    this.#vms.set(vmId, vm);
    if (journey?.isOn ?? chance.happens(0.85)) vm.powerOn(!journey && chance.happens(0.25));
    new Owner(host, vm, { reference, vmId, history }).plan(Math.min(size.acts, chance.below(6)));
    const hasAgent = journey !== null || chance.happens(0.7);
    const callersCount = Math.min(size.callers, chance.happens(0.3) ? 2 : 1);
    for (let c = 1; c <= callersCount; c += 1) {
      const name = `vm${n}-caller${c}`;
      const wishesCount = Math.min(size.wishes, 1 + chance.below(5));
      this.#callers.push(
        new Caller({
          host,
          service: this.#service,
          reference,
          history,
          vm,
          vmId,
          name,
          wishesCount,
          layersFirst: size.layers,
          atMs: size.callersAtMs,
          hasAgent,
          journey,
        }),
      );
    }
  }

  /** A machine of two disks whose owner leaves it alone, and one caller. */
  #addScripted(script: Script): void {
    const disks = ['da', 'db'].map((node) => ({
      ...{ node, device: `dev-${node}`, image: new Image(`/images/vm1/${node}.qcow2`) },
    }));
    const vm = new SimulatedVm(this.#host, 'vm1', disks);
    const vmId = FIRST_VM;
    this.#vms.set(vmId, vm);
    if (script.isOn) vm.powerOn(false);
    const named = { name: 'vm1-caller1', wishesCount: 0, layersFirst: 0, hasAgent: false };
    const plain = { journey: null, atMs: 0 };
    const around = { host: this.#host, service: this.#service, reference: this.#reference };
    this.#callers.push(
      new Caller({ ...around, history: this.#history, vm, vmId, ...named, ...plain, script }),
    );
  }

  async #until(isReached: () => boolean, what: string, invariant = 'I3'): Promise<void> {
    const end = await this.#scheduler.run(() => this.#check() && isReached(), EVENTS_MAX);
    must(end === 'reached', invariant, () => `${what}: never (${end})`);
  }

  /** Reads what was recorded since the last event. */
  #check(): true {
    if (this.#failure) throw this.#failure;
    this.#reference.upSinceMs = this.#service.upSinceMs;
    for (; this.#read < this.#disk.events.length; this.#read += 1) {
      const stored = this.#disk.events[this.#read];
      if (!stored) break;
      const event = this.#reference.read(stored, this.#scheduler.nowMs);
      this.#lastRecordedMs = this.#scheduler.nowMs;
      const { stream, version, type, data } = event;
      this.#scheduler.note(`recorded ${stream} ${version} ${type} ${JSON.stringify(data)}`);
      this.#count(outcomeOf(event), 1);
    }
    for (const book of this.#reference.books.values()) book.checkEnd();
    return true;
  }

  /** Time passes although nobody has anything to do; and whoever waits for a machine that is off gets it back. */
  #tick(wellMs = 0): void {
    for (const [vmId, book] of this.#reference.books) {
      const { vm, open } = book;
      const isLate = open && this.#scheduler.nowMs - open.atMs > PATIENCE_MS;
      if (!isLate || isToBeMended(book, wellMs)) continue;
      vm.powerOn(true);
      const key = `cancel-${this.#scheduler.nowMs}`;
      if (watchesForEver(open)) this.#service.ask(vmId, { what: 'cancel' }, key).catch(this.fail);
    }
    this.#scheduler.after(QUIET_MS / 10, 'a while later', () => this.#tick(wellMs + QUIET_MS / 10));
  }

  #isQuiet(): boolean {
    const isOver = [...this.#reference.books.values()].every((book) => !book.open && !book.isToBeCleared);
    const isSettled = [...this.#vms.values()].every(({ isStarting }) => !isStarting);
    return (
      isOver && isSettled && this.#service.isUp && this.#scheduler.nowMs - this.#lastRecordedMs > QUIET_MS
    );
  }

  async #compare(vmId: string, book: Book): Promise<void> {
    const standings: Standing[] = [];
    const ask = (core: Core) => core.standing(vmId).then((told) => standings.push(told), this.fail);
    const asks = this.#service.toEachCore((core) => void ask(core));
    await this.#until(() => asks() && standings.length > 0, 'the ledger tells its state');
    for (const standing of standings) requireStanding(standing, book);
  }

  /** Views that lived through all of it show what the log says, and what they keep is what a rebuild makes. */
  async #checkViews(onDisk: ViewsOnDisk): Promise<void> {
    const head = this.#disk.events.at(-1)?.position ?? null;
    await this.#until(() => onDisk.views?.position() === head, 'the views show everything', 'I11');
    const { views } = onDisk;
    if (!views) return;
    for (const [vmId, book] of this.#reference.books) {
      checkShown(views, vmId, this.#disk.streams.get(`vm-${vmId}`) ?? []);
      requireStanding(standingShown(views, vmId), book);
    }
    let isClosed = false;
    views.close().then(() => (isClosed = true), this.fail);
    await this.#until(() => isClosed, 'the views are closed', 'I11');
    await onDisk.checkRebuilt(this.#disk);
  }

  #count(what: string, times: number): void {
    this.#outcomes.set(what, (this.#outcomes.get(what) ?? 0) + times);
  }
}

/** Two things that happen beside all that is asked for. */
export const SECOND_CAME = 'beside: a second ledgerd came';
export const KEPT_AWAY = 'beside: a worker was kept away from a machine';

const asItIs: Meddle = (hypervisor) => hypervisor;

/** An event's type, and for a failure how it failed. */
function outcomeOf({ type, data }: { type: string; data: object }): string {
  if (!('outcome' in data && 'reason' in data)) return type;
  return `${type} ${String(data.outcome)} ${String(data.reason)}`;
}
