import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { World } from '#world';

const READY_TIMEOUT_MS = 15_000;

/** A ledgerd of the demo's own, on a port nobody uses. Its log goes to a file beside its data. */
export class Daemon {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#process = child;
  }

  static async start(world: World, root: string, directory: string): Promise<Daemon> {
    const url = `127.0.0.1:${await freePort()}`;
    const log = openSync(join(directory, 'ledgerd.log'), 'a');
    const options = ['--data', join(directory, 'data'), '--listen', url, '--monitor-root', directory];
    const child = spawn(join(root, 'deploy/ledgerd'), options, { stdio: ['ignore', log, log] });
    const daemon = new Daemon(`http://${url}`, child);
    await daemon.#ready(world, directory);
    return daemon;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  async #ready({ clock }: World, directory: string): Promise<void> {
    const until = clock.monotonic() + READY_TIMEOUT_MS;
    while (this.#process.exitCode === null && clock.monotonic() < until) {
      const answer = await fetch(`${this.url}/health/ready`).catch(() => null); // Not listening yet.
      if (answer?.ok) return;
      await clock.sleep(30);
    }
    throw new Error(`ledgerd did not become ready; its log is ${join(directory, 'ledgerd.log')}`);
  }

  /** SIGTERM, and what it is for: everything under way is finished or handed over. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await gone;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
