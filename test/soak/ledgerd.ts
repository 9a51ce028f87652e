/* The daemon that is shaken: the program itself, in a process of its own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { v7 } from 'uuid';
import { killedByCleanUp } from '../qemu/rig.ts';

/** npm runs every script at the top of the checkout. */
const program = (name: 'ledgerd' | 'ledgerctl'): string => join(process.cwd(), `dist/apps/${name}/main.js`);

const START_ATTEMPTS_MAX = 1_000;
const ATTEMPT_MS = 20;
/** How long somebody asks again who has got no answer, or one that says `later`. */
const PATIENCE_MS = 60_000;
const AGAIN_MS = 100;
const HOST = 'soak';

/** What Node is told besides: the heap grows by laziness as well, and is swept whenever somebody asks. */
const SWEPT_ON_SIGNAL = [
  '--expose-gc',
  '--import',
  'data:text/javascript,process.on("SIGUSR2", () => globalThis.gc())',
];
const SWEPT_MS = 300;

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly body: T;
}

export interface Verified {
  readonly events: number;
  readonly breachesCount: number;
  readonly checks: readonly { readonly invariant: string; readonly breaches: readonly string[] }[];
}

export class Ledgerd {
  readonly directory: string;
  url = '';
  /** How often it was started. */
  lives = 0;
  /** What it has logged as an error. */
  readonly troubles: string[] = [];
  #child: ChildProcess | null = null;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async start(directory: string): Promise<Ledgerd> {
    const ledgerd = new Ledgerd(directory);
    await ledgerd.#start();
    return ledgerd;
  }

  get data(): string {
    return join(this.directory, 'data');
  }

  /** Null while it is being started. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async #start(): Promise<void> {
    const file = program('ledgerd');
    if (!existsSync(file)) throw new Error('ledgerd is not built: run `deploy/built`');
    const place = ['--data', this.data, '--listen', '127.0.0.1:0', '--host', HOST];
    const args = [file, ...place, '--monitor-root', this.directory, '--reconcile-every', '10'];
    const mortal = ['--pdeathsig', 'KILL', process.execPath, ...SWEPT_ON_SIGNAL, ...args]; // It dies with us, however we die.
    const child = killedByCleanUp(spawn('setpriv', mortal, { stdio: ['ignore', 'pipe', 'inherit'] }));
    const lines = createInterface({ input: child.stdout });
    const address = new Promise<string>((found) => {
      lines.on('line', (line) => {
        const { level, address, ...rest } = JSON.parse(line) as { level: number; address?: string };
        if (address !== undefined) found(address);
        if (level >= ERROR_LEVEL) this.troubles.push(JSON.stringify(rest));
      });
    });
    const died = once(child, 'exit').then(() => '');
    this.url = await Promise.race([address, died]);
    if (this.url === '') throw new Error('ledgerd did not start');
    this.#child = child;
    this.lives += 1;
    for (let attempt = 0; attempt < START_ATTEMPTS_MAX; attempt += 1) {
      if ((await fetch(`${this.url}/health/ready`)).ok) return;
      await setTimeout(ATTEMPT_MS);
    }
    throw new Error('ledgerd did not become ready');
  }

  /** kill -9, and another one in its place. */
  async die(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = null;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    await this.#start();
  }

  /** Has it let go of what nobody needs any more. */
  async sweep(): Promise<void> {
    this.#child?.kill('SIGUSR2');
    await setTimeout(SWEPT_MS);
  }

  /** As a service is stopped. */
  async stop(): Promise<void> {
    if (!this.#child) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const [code] = await gone;
    this.#child = null;
    if (code !== 0) throw new Error(`ledgerd ended with ${code}`);
  }

  /** Asks until there is an answer, under one key: it is done once. */
  async answer<T>(method: string, path: string, body?: object): Promise<Answer<T>> {
    const key = method === 'GET' ? {} : { 'idempotency-key': v7() };
    const content = body && { body: JSON.stringify(body) };
    const headers = { ...key, ...(body && { 'content-type': 'application/json' }) };
    for (let waitedMs = 0; ; waitedMs += AGAIN_MS) {
      const answer = await this.#fetched<T>(path, { method, headers, ...content });
      if (answer && answer.status !== UNAVAILABLE) return answer;
      if (waitedMs > PATIENCE_MS) throw new Error(`${method} ${path}: nobody answers`);
      await setTimeout(AGAIN_MS);
    }
  }

  /** Null: nobody answered. */
  async #fetched<T>(path: string, wanted: RequestInit): Promise<Answer<T> | null> {
    try {
      const answer = await fetch(`${this.url}/v1${path}`, wanted);
      return { status: answer.status, body: (await answer.json()) as T };
    } catch {
      return null; // It was killed, and another one is being started.
    }
  }

  /** The same for whoever expects no refusal. */
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await this.answer<T>(method, path, body);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** What `ledgerctl verify` says of the data directory. */
  async verified(): Promise<Verified> {
    const args = [program('ledgerctl'), 'verify', '--data', this.data, '--host', HOST, '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      maxBuffer: OUTPUT_MAX_BYTES,
    }).catch(
      (error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }), // It found something, and tells.
    );
    if (stdout === '') throw new Error('ledgerctl verify says nothing');
    return JSON.parse(stdout) as Verified;
  }
}

/** Of pino. */
const ERROR_LEVEL = 50;
const UNAVAILABLE = 503;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;
