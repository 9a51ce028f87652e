import { StoreTrouble } from '#event-store';
import type { Coming } from './point-faults.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { SecondLedgerd } from './second-ledgerd.ts';
import { type Answer, Core, type Installation } from './simulated-ledgerd.ts';
import { SimulatedProcess } from './simulated-world.ts';
import type { Wish } from './wish.ts';

const RESTART_LEAST_MS = 50;
const RESTART_MOST_MS = 20_000;
/** After that whoever told it to end ends it. */
const STOP_TIMEOUT_MS = 30_000;
/** After that a caller gives up waiting for an answer. */
const ANSWER_TIMEOUT_MS = 60_000;

/** There is always this one. */
export const FIRST_VM = '00000000-0000-4000-8000-000000000001';
/** Never registered: what somebody takes for it is the first. */
const STRANGER = '00000000-0000-4000-8000-000000000009';

/** How often each named point of the program was passed, and how often it died there. */
export interface PointCount {
  passed: number;
  killed: number;
}

/** Whoever starts ledgerd, and starts it again when it died; and the socket that callers reach it by. */
export class LedgerdService {
  readonly points = new Map<string, PointCount>();
  restarts = 0;
  /** Those that run beside it. */
  readonly others: SecondLedgerd;
  /** Since when it takes requests, or will. */
  upSinceMs = 0;
  readonly #host: SimulatedHost;
  readonly #installation: Installation;
  readonly #onFailure: (error: unknown) => void;
  #process: SimulatedProcess | null = null;
  #core: Core | null = null;
  #passersBy = 0;
  #over: () => void = () => undefined;
  /** Callers who wait for an answer of the present process. */
  readonly #hangUps = new Set<() => void>();

  /** `onFailure` is told what the program threw that it should never throw. */
  constructor(host: SimulatedHost, installation: Installation, onFailure: (error: unknown) => void) {
    this.#host = host;
    this.#installation = installation;
    this.#onFailure = onFailure;
    this.others = new SecondLedgerd(host, installation, {
      atPoint: (name, process) => this.#passes(name, process),
      onFailure,
    });
  }

  /** Whether it takes requests. */
  get isUp(): boolean {
    return this.#core !== null;
  }

  /** The running program; null while it is down. */
  get core(): Core | null {
    return this.#core;
  }

  /** To be called again and again: asks the program that runs, and each that comes after it, once. */
  toEachCore(ask: (core: Core) => void): () => true {
    let asked: Core | null = null;
    return () => {
      if (this.#core && this.#core !== asked) ask((asked = this.#core));
      return true;
    };
  }

  /** SIGTERM, and SIGKILL when it does not end. */
  async stop(): Promise<void> {
    const core = this.#core;
    const process = this.#process;
    this.#core = null;
    const impatience = this.#host.scheduler.after(STOP_TIMEOUT_MS, 'ledgerd takes too long to end', () =>
      process?.kill('does not end in time'),
    );
    await core?.stop();
    impatience.cancel();
    process?.kill('ends in good order');
  }

  start(): void {
    const process = new SimulatedProcess(this.#host, `ledgerd.${this.restarts}`, {
      atPoint: (name, process) => this.#passes(name, process),
      onDeath: () => this.#died(),
    });
    this.#process = process;
    this.upSinceMs = this.#host.scheduler.nowMs;
    this.#over = this.#host.onPowerLoss(() => process.kill('loses its power'));
    this.#host.files.makeDirectory('/data/transcripts');
    this.#boot(process).catch(this.#onFailure);
  }

  /** Null when nobody answers: ledgerd is down, dies meanwhile, or takes too long. */
  ask(vmId: string, wish: Wish, key: string, expectedVersion?: number): Promise<Answer | null> {
    const core = this.#door;
    if (!core) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      const over = (answer: Answer | null): void => {
        timer.cancel();
        this.#hangUps.delete(hangUp);
        resolve(answer);
      };
      const hangUp = (): void => over(null);
      const timer = this.#host.scheduler.after(ANSWER_TIMEOUT_MS, `caller gives up on ${key}`, hangUp);
      this.#hangUps.add(hangUp);
      core.ask(vmId, wish, key, expectedVersion).then(over, reject);
    });
  }

  /** Whoever takes the next request. */
  get #door(): Core | null {
    const { cores } = this.others;
    if (cores.size === 0 || (this.#core && this.#host.chance.happens(0.5))) return this.#core;
    return this.#host.chance.pick([...cores]) ?? null;
  }

  async #boot(process: SimulatedProcess): Promise<void> {
    try {
      this.#core = await Core.boot(process.world, this.#installation);
      this.upSinceMs = this.#host.scheduler.nowMs;
      this.#host.scheduler.note(`${process.name} is up`);
    } catch (error) {
      if (!(error instanceof StoreTrouble)) throw error;
      process.kill(`cannot start: ${error.message}`);
    }
  }

  #died(): void {
    this.#over();
    this.#core = null;
    this.#process = null;
    this.restarts += 1;
    this.#installation.views?.died();
    for (const hangUp of this.#hangUps) hangUp();
    const ms = this.#host.chance.betweenLog(RESTART_LEAST_MS, RESTART_MOST_MS);
    this.#host.scheduler.after(ms, 'ledgerd is started', () => this.start());
  }

  #passes(name: string, process: SimulatedProcess): Coming | null {
    const { faults } = this.#host;
    const count = this.points.get(name) ?? this.#counted(name);
    count.passed += 1;
    const killed = (): void => {
      count.killed += 1;
      process.kill(`at ${name}`);
    };
    const isMark = isMarked(name);
    if (isMark) {
      const struck = this.#strikes(name, { count, killed });
      if (struck) return struck;
    }
    const interrupt = (): void => this.#interrupt();
    const coming = faults.at(name, () => ({ ...this.#host.hands, kill: killed, interrupt }));
    if (coming === null && isMark) return { ms: 0, act: () => this.#requireSpace(name) };
    return coming;
  }

  #counted(name: string): PointCount {
    const count = { passed: 0, killed: 0 };
    this.points.set(name, count);
    return count;
  }

  /** What comes at the steps of an operation, and at the log. */
  #strikes(name: string, { count, killed }: { count: PointCount; killed: () => void }): Coming | null {
    const { faults } = this.#host;
    if (faults.happens('power-lost')) {
      const lost = (): void => {
        count.killed += 1;
        this.#host.losePower();
      };
      return { ms: 0, act: lost };
    }
    const isKilled =
      faults.happens('ledgerd-killed-at-point') ||
      (COMMIT.test(name) && faults.happens('ledgerd-killed-in-append'));
    if (isKilled) return { ms: 0, act: killed };
    const thrown = this.#storeTrouble(name);
    return thrown && { ms: 0, act: () => raise(thrown) };
  }

  /** Somebody passes by, and has a look at a machine; and somebody who takes it for a new one looks at its monitor. */
  #interrupt(): void {
    this.#passersBy += 1;
    const key = `passer-by-${this.#passersBy}`;
    this.ask(FIRST_VM, { what: 'reconcile' }, key).catch(this.#onFailure);
    const [vm] = this.#host.vms;
    if (!vm || !this.#installation.disk.streams.has(`vm-${FIRST_VM}`)) return; // It would be his.
    const wish: Wish = { what: 'register', name: key, monitor: vm.monitorPath, guestAgent: null };
    this.ask(STRANGER, wish, `${key}-register`).catch(this.#onFailure);
  }

  #storeTrouble(name: string): Error | null {
    const { faults } = this.#host;
    if (name === 'store.before-commit') {
      if (faults.happens('store-full')) return new StoreTrouble('full', 'no space is left for the log');
      if (faults.happens('store-unavailable'))
        return new StoreTrouble('unavailable', 'the disk does not answer');
      if (faults.happens('store-unheard'))
        return new StoreTrouble('unavailable', 'nobody knows what the disk has done', { effect: 'unknown' });
    }
    if (name === 'store.after-commit' && faults.happens('store-unheard'))
      return new Error('the answer of the disk was lost');
    return null;
  }

  #requireSpace(name: string): void {
    if (name === 'store.before-commit' && this.#host.files.isFull)
      throw new StoreTrouble('full', 'no space is left for the log');
  }
}

/** Where others have their turn in any case: the steps of an operation, and the log. */
const MARK = /^(hypervisor\.|worker\.|store\.(before|after)-commit$)/;
const COMMIT = /^store\.(before|after)-commit$/;

const marked = new Map<string, boolean>();

/** There are few names, and each comes often. */
function isMarked(name: string): boolean {
  const known = marked.get(name);
  if (known !== undefined) return known;
  const isMark = MARK.test(name);
  marked.set(name, isMark);
  return isMark;
}

function raise(error: Error): never {
  throw error;
}
