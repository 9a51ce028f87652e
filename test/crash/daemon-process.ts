/* A ledgerd of its own process, for tests that kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { killedByCleanUp, makeDirectory } from '../qemu/rig.ts';

/** npm runs every script at the top of the checkout. */
const built = join(process.cwd(), 'dist/test/crash/bombed-ledgerd.js');
const START_MS = 20_000;

/** Explodes when a fault point is passed for the n-th time since it was laid. */
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

/** Never explodes; the points passed are counted all the same. */
const NEVER: Bomb = { point: '', nth: 1 };

export interface Defused {
  /** The fault points that were passed since the bomb was laid, in order. */
  readonly passed: readonly string[];
  readonly hasExploded: boolean;
}

/** Of a ledgerd that has died. */
const DIED: Defused = { passed: [], hasExploded: true };

/** What ledgerd finds half-done it brings to its end, or, for a control, gives up unseen. */
export type Recovery = 'recovering' | 'forgetful';

/** Where those that are started one after the other find each other's code compiled. */
let compiledDirectory = '';

interface Wanted {
  readonly recovery?: Recovery;
  /** More options of ledgerd's. */
  readonly args?: readonly string[];
}

/** A ledgerd whose data and machines lie in a directory. */
export const optionsIn = (directory: string): string[] => [
  ...['--data', join(directory, 'data'), '--listen', '127.0.0.1:0'],
  ...['--monitor-root', directory],
];

export class DaemonProcess {
  readonly url: string;
  /** Where its data directory lies, and all that it may touch. */
  readonly directory: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly gone: Promise<unknown>;

  private constructor(url: string, child: ChildProcess, directory: string) {
    this.url = url;
    this.directory = directory;
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.gone = once(child, 'exit');
  }

  /** Starts it on a data directory and waits until it would accept commands. */
  static async start(
    directory: string,
    { recovery = 'recovering', args = [] }: Wanted = {},
  ): Promise<DaemonProcess> {
    if (!existsSync(built)) throw new Error('the tests are not built: run `npm test`, or `deploy/built`');
    compiledDirectory ||= makeDirectory();
    const child = spawn(process.execPath, [built, recovery, ...optionsIn(directory), ...args], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: compiledDirectory },
    });
    return DaemonProcess.of(child, directory);
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

  /** From now on fault points count. Without a bomb nobody dies of them. */
  async lay(bomb: Bomb = NEVER): Promise<void> {
    await this.#say(bomb);
  }

  /** From now on they do not. */
  async defuse(): Promise<Defused> {
    return this.isGone ? DIED : this.#say(null);
  }

  async #say(bomb: Bomb | null): Promise<Defused> {
    const answer = once(this.#child, 'message') as Promise<[Defused]>;
    this.#child.send({ bomb }, () => undefined); // Who dies meanwhile does not answer.
    const [defused] = await Promise.race([answer, this.gone.then((): [Defused] => [DIED])]);
    return defused;
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
    await this.#fetched(method, path, body)
      .then((answer) => answer.text()) // Read to its end: what is left unread keeps the connection.
      .catch(() => undefined); // That is what is tested.
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
