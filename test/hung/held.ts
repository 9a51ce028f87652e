/* A ledgerd of its own process that stands still where it is told to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DaemonProcess, optionsIn } from '../crash/daemon-process.ts';

/** npm runs every script at the top of the checkout. */
const built = join(process.cwd(), 'dist/test/hung/held-ledgerd.js');

/** What its parent tells it. */
export type Order =
  | { readonly to: 'watch'; readonly on: boolean }
  | { readonly to: 'hold'; readonly point: string; readonly nth: number }
  | { readonly to: 'go' }
  /** Its monotonic clock goes on by so much in an instant. */
  | { readonly to: 'jump'; readonly ms: number };

/** What it tells its parent. */
export type Told = { readonly passed: string } | { readonly reached: string };

export interface Place {
  readonly point: string;
  readonly nth: number;
}

export class HeldLedgerd {
  readonly daemon: DaemonProcess;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, daemon: DaemonProcess) {
    this.#child = child;
    this.daemon = daemon;
  }

  /** Starts it on a directory, its clock so many times as fast, and waits until it would accept commands. */
  static async start(directory: string, haste = 1, options: readonly string[] = []): Promise<HeldLedgerd> {
    if (!existsSync(built)) throw new Error('the tests are not built: run `npm test`, or `deploy/built`');
    const child = spawn(process.execPath, [built, String(haste), ...optionsIn(directory), ...options], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    return new HeldLedgerd(child, await DaemonProcess.of(child, directory));
  }

  /** The fault points that are passed while `work` is done, in order. */
  async passedIn(work: () => Promise<void>): Promise<string[]> {
    const passed: string[] = [];
    const hear = (told: Told): void => void ('passed' in told && passed.push(told.passed));
    this.#child.on('message', hear);
    this.#order({ to: 'watch', on: true });
    await work();
    this.#order({ to: 'watch', on: false });
    this.#child.off('message', hear);
    return passed;
  }

  /** Stands still at a point when it is passed for the nth time from now on. Resolves when it does. */
  hold(place: Place): Promise<void> {
    const reached = new Promise<void>((resolve) => {
      const hear = (told: Told): void => {
        if (!('reached' in told)) return;
        this.#child.off('message', hear);
        resolve();
      };
      this.#child.on('message', hear);
    });
    this.#order({ to: 'hold', ...place });
    return reached;
  }

  /** Goes on, and stands still no more. */
  go(): void {
    this.#order({ to: 'go' });
  }

  /** So much time passes in an instant, for all that measures how long something takes. */
  jump(ms: number): void {
    this.#order({ to: 'jump', ms });
  }

  async kill(): Promise<void> {
    await this.daemon.kill();
  }

  #order(order: Order): void {
    this.#child.send(order);
  }
}
