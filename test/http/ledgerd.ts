import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach } from 'vitest';
import { realWorld, type World } from '#world';
import { type Config, readConfig } from '../../apps/ledgerd/config.ts';
import { type Daemon, startDaemon } from '../../apps/ledgerd/daemon.ts';
import { noRival } from '../worker/no-rival.ts';
import { type Machines, openMachines } from './machines.ts';

/** An answer, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text as JSON; undefined when it is none. */
  readonly body: Record<string, unknown> & { reason?: string; detail?: string; id?: string };
}

export interface Ledgerd {
  readonly url: string;
  readonly data: string;
  readonly machines: Machines;
  /** Everything that was logged, one object a line. */
  readonly logged: readonly string[];
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  stop(): Promise<void>;
}

const opened: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

export interface Wanted {
  /** Left out: a log in memory. */
  readonly data?: string;
  readonly machines?: Machines;
  readonly world?: World;
  readonly roles?: string;
  readonly args?: readonly string[];
}

/** A directory that goes with its test. */
export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'snapledger-http-'));
  opened.push(async () => rmSync(path, { recursive: true, force: true }));
  return path;
}

export const configOf = ({ data, roles = 'http,worker', args = [] }: Wanted): Config =>
  readConfig({
    args: [
      ...['--data', data ?? directory(), '--listen', '127.0.0.1:0', '--roles', roles, '--host', 'test-host'],
      ...(data === undefined ? ['--store', 'memory:'] : []),
      ...args,
    ],
    env: {},
    workingDirectory: '/',
    hostname: 'nobody',
    readText: () => '',
  }).config;

/** A ledgerd in this process, on a port of its own; it ends with its test. */
export async function ledgerd(wanted: Wanted = {}): Promise<Ledgerd> {
  const { machines = openMachines() } = wanted;
  const world = { ...(wanted.world ?? realWorld()), lock: noRival };
  const config = configOf(wanted);
  const logged: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) });
  const daemon: Daemon = await startDaemon({ config, world, log, hypervisor: machines });
  const stop = once(() => daemon.stop());
  opened.push(stop);
  const url = daemon.address ?? '';
  return {
    url,
    data: config.data,
    machines,
    logged,
    ask: (method, path, body, headers = {}) => ask(`${url}${path}`, { method, body, headers }),
    stop,
  };
}

function once(close: () => Promise<void>): () => Promise<void> {
  let closed: Promise<void> | null = null;
  return () => (closed ??= close());
}

interface Asked {
  readonly method: string;
  readonly body: unknown;
  readonly headers: Record<string, string>;
}

async function ask(url: string, { method, body, headers }: Asked): Promise<Answer> {
  const content =
    body === undefined
      ? {}
      : {
          body: typeof body === 'string' ? body : JSON.stringify(body),
          type: { 'content-type': 'application/json' },
        };
  const answer = await fetch(url, {
    method,
    headers: { ...content.type, ...headers },
    ...(content.body !== undefined && { body: content.body }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, body: parsed(text) };
}

function parsed(text: string): Answer['body'] {
  try {
    return JSON.parse(text) as Answer['body'];
  } catch {
    return {}; // A page, a stream, or nothing.
  }
}

/** Registers a VM and says its id. */
export async function vmOn({ ask }: Ledgerd, name = 'web1'): Promise<string> {
  const answer = await ask('POST', '/v1/vms', { name, monitor: `/m/${name}.sock` });
  if (answer.status !== 201) throw new Error(answer.text);
  return String(answer.body.id);
}

/** Creates a snapshot, waits for the end of it, and says its id. */
export async function snapshotOn(daemon: Ledgerd, vmId: string, name: string): Promise<string> {
  const answer = await daemon.ask('POST', `/v1/vms/${vmId}/snapshots`, { name });
  if (answer.status !== 202) throw new Error(answer.text);
  const ended = await daemon.ask('GET', `/v1/operations/${answer.body.id}?wait=10s`);
  if (ended.body['done'] !== true) throw new Error(ended.text);
  return String(answer.body['snapshotId']);
}

/** A UUID that nobody has. */
export const NOBODY = '00000000-0000-7000-8000-000000000000';
