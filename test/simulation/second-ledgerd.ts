import { StoreTrouble } from '#event-store';
import type { Chance } from './chance.ts';
import type { History } from './history.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { Core, type Installation } from './simulated-ledgerd.ts';
import { type AtPoint, SimulatedProcess } from './simulated-world.ts';

/** Worlds in which somebody starts one. */
const SHARE = 0.25;
const COUNT_MAX = 3;
const COMES_LEAST_MS = 100;
const COMES_MOST_MS = 60_000;
const STAYS_LEAST_MS = 50;
const STAYS_MOST_MS = 20_000;

/**
 * Another ledgerd on the same log and the same host while the first one lives, for somebody took that one for dead. It takes
 * requests, and does what is to be done; after a while it is noticed, and killed.
 */
export class SecondLedgerd {
  /** Those that are up. */
  readonly cores = new Set<Core>();
  /** How many have come. */
  cameCount = 0;
  readonly #host: SimulatedHost;
  readonly #installation: Installation;
  readonly #atPoint: AtPoint;
  readonly #onFailure: (error: unknown) => void;

  constructor(
    host: SimulatedHost,
    installation: Installation,
    { atPoint, onFailure }: { atPoint: AtPoint; onFailure: (error: unknown) => void },
  ) {
    this.#host = host;
    this.#atPoint = atPoint;
    this.#installation = { ...installation, views: null }; // Those are the first one's own.
    this.#onFailure = onFailure;
  }

  /** Draws how many come, and when. */
  plan(chance: Chance, history: History): void {
    const count = chance.happens(SHARE) ? 1 + chance.below(COUNT_MAX) : 0;
    for (let n = 1; n <= count; n += 1) {
      const name = `ledgerd-second#${n}`;
      const comesMs = chance.betweenLog(COMES_LEAST_MS, COMES_MOST_MS);
      const staysMs = chance.betweenLog(STAYS_LEAST_MS, STAYS_MOST_MS);
      this.#host.scheduler.after(comesMs, 'a second ledgerd is to start', () => {
        if (history.has(name)) this.#start(name, staysMs);
      });
    }
  }

  #start(name: string, staysMs: number): void {
    this.#installation.disk.isShared = true;
    this.cameCount += 1;
    let core: Core | null = null;
    const process: SimulatedProcess = new SimulatedProcess(this.#host, name, {
      atPoint: this.#atPoint,
      onDeath: () => {
        staysUp();
        if (core) this.cores.delete(core);
      },
    });
    const staysUp = this.#host.onPowerLoss(() => process.kill('loses its power'));
    const boot = async (): Promise<void> => {
      core = await Core.boot(process.world, this.#installation);
      this.cores.add(core);
      this.#host.scheduler.note(`${name} is up`);
    };
    boot().catch((error: unknown) => {
      if (error instanceof StoreTrouble) process.kill(`cannot start: ${error.message}`);
      else this.#onFailure(error);
    });
    this.#host.scheduler.after(staysMs, `${name} is noticed`, () => process.kill('was one too many'));
  }
}
