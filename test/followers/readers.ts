/* Those who read along: each begins at the beginning, and goes on where it was when ledgerd comes back. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { killedByCleanUp } from '../qemu/rig.ts';

const AGAIN_MS = 20;
/** As a supervisor does it. */
const RESTARTED_AFTER_MS = 500;

export interface Seen {
  readonly position: string;
  readonly hash: string;
}

export interface Reader {
  readonly name: string;
  /** In the order in which it was told. */
  readonly seen: Seen[];
  /** How often it had to begin again where it was. */
  readonly connections: () => number;
  readonly stopped: Promise<void>;
}

/** As a browser's EventSource does it. */
export function watcher(url: string, signal: AbortSignal): Reader {
  return again('watch', signal, async (seen) => {
    const headers = { 'last-event-id': seen.at(-1)?.position ?? '0' };
    const answer = await fetch(`${url}/v1/watch`, { headers, signal });
    for await (const block of piecesOf(answer, '\n\n')) {
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data !== undefined) seen.push(seenIn(data));
    }
  });
}

/** Asks for what is new, over and over. */
export function poller(url: string, signal: AbortSignal): Reader {
  return again('events', signal, async (seen) => {
    const after = seen.at(-1)?.position;
    const query = after === undefined ? '' : `?afterPosition=${after}`;
    const answer = await fetch(`${url}/v1/events${query}`, { signal });
    if (!answer.ok) return;
    for await (const line of piecesOf(answer, '\n')) if (line !== '') seen.push(seenIn(line));
  });
}

/** `ledgerctl watch`, which goes on by itself; when it has given up, somebody starts it where it was. */
export function watchingCtl(url: string, signal: AbortSignal): Reader {
  const main = join(process.cwd(), 'dist/apps/ledgerctl/main.js');
  return again('ledgerctl', signal, async (seen) => {
    const words = ['--url', url, 'watch', '--json', '--after', seen.at(-1)?.position ?? '0'];
    const child = killedByCleanUp(
      spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    const stop = (): void => void child.kill('SIGINT');
    signal.addEventListener('abort', stop, { once: true });
    for await (const line of createInterface({ input: child.stdout })) seen.push(seenIn(line));
    signal.removeEventListener('abort', stop);
    await setTimeout(RESTARTED_AFTER_MS);
  });
}

/** Until the signal aborts. A connection that breaks is nothing that a reader would be surprised at. */
function again(name: string, signal: AbortSignal, read: (seen: Seen[]) => Promise<void>): Reader {
  const seen: Seen[] = [];
  let connections = 0;
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      connections += 1;
      await read(seen).catch(() => undefined);
      await setTimeout(AGAIN_MS);
    }
  };
  return { name, seen, connections: () => connections, stopped: run() };
}

/** What stands before each mark; what comes after the last one was cut off. */
async function* piecesOf({ body }: Response, mark: string): AsyncGenerator<string> {
  if (!body) return;
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const pieces = (rest + decoder.decode(chunk, { stream: true })).split(mark);
    rest = pieces.pop() ?? '';
    yield* pieces;
  }
}

function seenIn(line: string): Seen {
  const { position, hash } = JSON.parse(line) as Seen;
  return { position, hash };
}
