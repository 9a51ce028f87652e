/* A ledgerd that is killed and started again at the same address. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { killedByCleanUp } from '../qemu/rig.ts';

/** npm runs every script at the top of the checkout. */
const built = join(process.cwd(), 'dist/apps/ledgerd/main.js');
const START_MS = 60_000;
const POLL_MS = 10;

export class Service {
  readonly directory: string;
  readonly url: string;
  #child: ChildProcess;

  private constructor(directory: string, url: string) {
    this.directory = directory;
    this.url = url;
    this.#child = this.#spawned();
  }

  /** One whose machines lie in the same directory. */
  static async start(directory: string): Promise<Service> {
    if (!existsSync(built)) throw new Error('the tests are not built: run `npm test`, or `deploy/built`');
    const service = new Service(directory, `http://127.0.0.1:${await freePort()}`);
    await service.#ready();
    return service;
  }

  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  /** After a kill. Returns when it would accept commands. */
  async again(): Promise<void> {
    this.#child = this.#spawned();
    await this.#ready();
  }

  #spawned(): ChildProcess {
    const places = ['--data', join(this.directory, 'data'), '--listen', new URL(this.url).host];
    const roots = ['--monitor-root', this.directory, '--image-root', this.directory];
    return killedByCleanUp(
      spawn(process.execPath, [built, ...places, ...roots], { stdio: ['ignore', 'ignore', 'inherit'] }),
    );
  }

  async #ready(): Promise<void> {
    for (let waited = 0; waited < START_MS; waited += POLL_MS) {
      const isReady = await fetch(`${this.url}/health/ready`).then(
        ({ ok }) => ok,
        () => false, // It does not listen yet.
      );
      if (isReady) return;
      if (this.#child.exitCode !== null) throw new Error('ledgerd ended while it started');
      await setTimeout(POLL_MS);
    }
    throw new Error('ledgerd did not become ready');
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
