import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { hostname } from 'node:os';
import { realHttp } from './real-http.ts';
import { run } from './program.ts';
import type { Sink } from './surroundings.ts';

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort());

/** Whoever reads us may stop reading, as `head` does. There is nobody left to tell. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 0 : 1));
}

const sinkOf = (stream: NodeJS.WriteStream): Sink => ({
  write: (text) => new Promise((resolve) => stream.write(text, () => resolve())),
  isTerminal: stream.isTTY === true,
  columns: stream.columns || 80, // A terminal may not know its width and say 0.
});

const code = await run(process.argv.slice(2), {
  out: sinkOf(process.stdout),
  err: sinkOf(process.stderr),
  env: process.env,
  cwd: process.cwd(),
  hostname: hostname(),
  version: ownVersion(),
  http: realHttp(),
  world: async () => (await import('#world')).realWorld(),
  interrupted: interrupt.signal,
});
process.exit(code); // Everything is written; a connection that is kept for the next request must not keep us.

/** Of the package this file was built from: its package.json is the nearest one above. */
function ownVersion(): string {
  const path = findPackageJSON('..', import.meta.url);
  const { version = '' } =
    path === undefined ? {} : (JSON.parse(readFileSync(path, 'utf8')) as { version?: string });
  return version;
}
