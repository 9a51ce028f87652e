import { ConnectTrouble } from '#world';
import type { Chance } from './chance.ts';
import type { History } from './history.ts';
import type { Reference } from './reference.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import type { Socket } from './socket.ts';

const REST_LEAST_MS = 50;
const REST_MOST_MS = 60_000;
const FULL_LEAST_MS = 100;
const FULL_MOST_MS = 30_000;
const OCCUPIED_LEAST_MS = 100;
const OCCUPIED_MOST_MS = 300_000;

/**
 * Whoever the machine belongs to: pauses it, switches it off and on, talks to its monitor, sets the clock, fills
 * the disk. Never while
 * an operation is under way, so that it stays clear who left the machine how; except for those who do not care.
 */
export class Owner {
  readonly #host: SimulatedHost;
  readonly #vm: SimulatedVm;
  readonly #chance: Chance;
  readonly #isBusy: () => boolean;
  readonly #history: History;

  constructor(
    host: SimulatedHost,
    vm: SimulatedVm,
    { reference, vmId, history }: { reference: Reference; vmId: string; history: History },
  ) {
    this.#history = history;
    this.#host = host;
    this.#vm = vm;
    this.#chance = host.chance.fork(`owner of ${vm.name}`);
    this.#isBusy = () => Boolean(reference.books.get(vmId)?.open);
  }

  /** Does `actionsCount` things, at times of its own. */
  plan(actionsCount: number): void {
    let atMs = 0;
    for (let action = 1; action <= actionsCount; action += 1) {
      atMs += this.#chance.betweenLog(REST_LEAST_MS, REST_MOST_MS);
      this.#host.scheduler.after(atMs, `owner of ${this.#vm.name}`, () => {
        if (this.#history.has(`${this.#vm.name}-owner#${action}`)) this.#act();
      });
    }
  }

  #act(): void {
    const roll = this.#chance.next();
    if (roll < 0.2) return this.#host.jumpClock();
    if (roll < 0.35) return this.#vm.machine?.kill('is killed by its owner');
    if (roll < 0.45) return this.#occupy();
    if (roll < 0.55) return this.#host.fillDisk(this.#chance.betweenLog(FULL_LEAST_MS, FULL_MOST_MS));
    if (roll < 0.67) return this.#vm.powerOn(this.#chance.happens(0.5));
    if (this.#isBusy()) return undefined;
    return roll < 0.77 ? this.#vm.powerOff() : this.#vm.pauseOrResume();
  }

  /** Another client on the monitor: as long as it stays, nobody else is greeted. */
  #occupy(): void {
    const socket = this.#vm.machine && this.#connect();
    if (!socket) return;
    const ms = this.#chance.betweenLog(OCCUPIED_LEAST_MS, OCCUPIED_MOST_MS);
    this.#host.scheduler.after(ms, `owner of ${this.#vm.name} leaves the monitor`, () => socket.close());
  }

  #connect(): Socket | null {
    try {
      return this.#host.connect(this.#vm.monitorPath);
    } catch (error) {
      if (error instanceof ConnectTrouble) return null; // Too many wait there already.
      throw error;
    }
  }
}
