import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';

const READY_WITHIN_MS = 180_000;
const READY_PAUSE_MS = 20;

/** A server in a process of its own. */
export class Served {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  /** Resolves with the first line that the script prints, which begins with its address. */
  static async start(script: string, args: readonly string[]): Promise<Served> {
    const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout?.setEncoding('utf8');
    const [first] = await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
    if (child.exitCode !== null) throw new Error(`${script} ended with ${child.exitCode}`);
    return new Served(child, String(first).trim().split(' ', 1)[0] ?? '');
  }

  /** ledgerd on a data directory. */
  static ledgerd(directory: string, options: readonly string[]): Promise<Served> {
    const args = ['none', '1', '', '--data', directory, '--listen', '127.0.0.1:0', ...options];
    return Served.start('dist/test/crash/bombed-ledgerd.js', args);
  }

  /** Ends the server when the work is done, or has failed. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await gone;
    }
  }

  /** Resolves when the views have been built. */
  async ready(): Promise<void> {
    const lateAt = performance.now() + READY_WITHIN_MS;
    while (performance.now() < lateAt) {
      if ((await fetch(`${this.url}/health/ready`)).ok) return;
      await sleep(READY_PAUSE_MS);
    }
    throw new Error('the server does not become ready');
  }

  /** Keeps `connections` requests under way, on one path after the other. */
  async load(connections: number, { paths, method, seconds }: Load) {
    let n = 0;
    const request = {
      method,
      setupRequest: (given: autocannon.Request) => {
        n += 1;
        return {
          ...given,
          path: paths[n % paths.length] ?? '/',
          body: JSON.stringify({ name: `name ${n}` }),
        };
      },
    };
    const result = await autocannon({
      url: this.url,
      connections,
      duration: seconds,
      headers: { 'content-type': 'application/json' },
      requests: [request],
    });
    if (result.non2xx > 0 || result.errors > 0) {
      const codes = JSON.stringify(result.statusCodeStats);
      throw new Error(`${result.non2xx} refusals, ${result.errors} errors: ${codes}`);
    }
    return { perSecond: result.requests.average, p99: result.latency.p99 };
  }
}

/** What a server is loaded with. */
interface Load {
  readonly paths: readonly string[];
  readonly method: 'POST' | 'PATCH';
  readonly seconds: number;
}
