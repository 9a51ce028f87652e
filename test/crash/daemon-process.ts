/* A ledgerd of its own process, for tests that kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { killedByCleanUp } from '../qemu/rig.ts';

/** npm runs every script at the top of the checkout. */
const built = join(process.cwd(), 'dist/test/crash/bombed-ledgerd.js');
const START_MS = 20_000;
/** Until a signal has been heard. */
const DISARMED_MS = 50;

export interface Bomb {
  readonly point: string;
  readonly nth: number;
  /** The process that dies; absent: ledgerd itself. */
  readonly victim?: number;
}

export interface OperationAnswer {
  readonly id: string;
  readonly snapshotId: string;
  readonly done: boolean;
  readonly outcome: string | null;
  readonly error?: { readonly reason: string; readonly message: string };
}

export interface EventAnswer {
  readonly type: string;
  readonly correlationId: string;
  readonly data: { readonly operationId?: string };
}

const wordsOf = (bomb: Bomb | null): string[] =>
  bomb ? [bomb.point, `${bomb.nth}`, `${bomb.victim ?? 'self'}`] : ['none', '1', 'self'];

const passedFileIn = (directory: string): string => join(directory, 'passed.txt');

/** A ledgerd whose data and machines lie in a directory. */
export const optionsIn = (directory: string): string[] => [
  ...['--data', join(directory, 'data'), '--listen', '127.0.0.1:0'],
  ...['--monitor-root', directory],
];

export class DaemonProcess {
  readonly url: string;
  /** Where its data directory lies, and all that it may touch. */
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #passedFile: string;
  readonly gone: Promise<unknown>;

  private constructor(url: string, child: ChildProcess, directory: string) {
    this.url = url;
    this.directory = directory;
    this.#child = child;
    this.#passedFile = passedFileIn(directory);
    this.gone = once(child, 'exit');
  }

  /** Starts it on a data directory and waits until it would accept commands. */
  static async start(directory: string, bomb: Bomb | null = null): Promise<DaemonProcess> {
    if (!existsSync(built)) throw new Error('the tests are not built: run `npm test`, or `deploy/built`');
    const args = [built, ...wordsOf(bomb), passedFileIn(directory), ...optionsIn(directory)];
    return DaemonProcess.of(
      spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }),
      directory,
    );
  }

  /** One that was started with `optionsIn(directory)`, and says first where it answers. */
  static async of(child: ChildProcess, directory: string): Promise<DaemonProcess> {
    const output = killedByCleanUp(child).stdout?.setEncoding('utf8');
    if (!output) throw new Error('ledgerd was started without an output that could be read');
    const first = await Promise.race([once(output, 'data'), once(child, 'exit')]);
    const daemon = new DaemonProcess(String(first[0]).split(' ', 1)[0] ?? '', child, directory);
    await daemon.#ready();
    return daemon;
  }

  async #ready(): Promise<void> {
    for (let waited = 0; waited < START_MS; waited += 20) {
      const answer = await fetch(`${this.url}/health/ready`);
      if (answer.ok) return;
      await setTimeout(20);
    }
    throw new Error('ledgerd did not become ready');
  }

  /** From now on fault points count. */
  arm(): void {
    this.#child.kill('SIGUSR2');
  }

  /** They count no more, from a moment later on. */
  async disarm(): Promise<void> {
    this.#child.kill('SIGUSR2');
    await setTimeout(DISARMED_MS);
  }

  /** The fault points passed since it was armed, in order. */
  passed(): string[] {
    if (!existsSync(this.#passedFile)) return [];
    return readFileSync(this.#passedFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async kill(): Promise<void> {
    if (!this.isGone) {
      this.#child.kill('SIGKILL');
      await this.gone;
    }
  }

  /** Asks, and gives back the answer's JSON. Throws when ledgerd refuses. */
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await this.#fetched(method, path, body);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as T;
  }

  /** Asks, and minds no loss of the answer: the daemon may die while it answers. */
  async try(method: string, path: string, body?: object): Promise<void> {
    await this.#fetched(method, path, body).catch(() => undefined); // That is what is tested.
  }

  #fetched(method: string, path: string, body?: object): Promise<Response> {
    const content = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return fetch(`${this.url}/v1${path}`, { method, ...content });
  }

  /** Waits until nothing is under way on the VM any more. */
  async quiet(vmId: string, withinMs = 20_000): Promise<void> {
    for (let waited = 0; waited < withinMs; waited += 50) {
      const { operationId } = await this.ask<{ operationId: string | null }>('GET', `/vms/${vmId}`);
      if (operationId === null) return;
      await setTimeout(50);
    }
    throw new Error(`an operation did not end within ${withinMs} ms`);
  }

  async operation(id: string): Promise<OperationAnswer> {
    return this.ask('GET', `/operations/${id}?wait=20s`);
  }

  /** All events of the VM. */
  async events(vmId: string): Promise<EventAnswer[]> {
    const answer = await fetch(`${this.url}/v1/vms/${vmId}/events`);
    const text = await answer.text();
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line) as EventAnswer);
  }
}
