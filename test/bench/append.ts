import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CHAIN_START, type EventStore, openSqliteStore, seal, type SealedEvent } from '#event-store';
import { realWorld } from '#world';
import { type Row, timed } from './row.ts';

const APPENDS = 3_000;
const ROUNDS = 3;
const IN_FLIGHT = 64;

/** Durable appends, one at a time and 64 in flight, beside one raw SQLite transaction per append. */
export async function appendRows(): Promise<Row[]> {
  const one: number[] = [];
  const many: number[] = [];
  const raw: number[] = [];
  let commits = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    raw.push(perSecond(await inDirectory((directory) => rawAppends(directory))));
    one.push(perSecond(await inDirectory((directory) => ourAppends(directory, 1).then(({ ms }) => ms))));
    const group = await inDirectory((directory) => ourAppends(directory, IN_FLIGHT));
    many.push(perSecond(group.ms));
    commits = group.commits;
  }
  const baseline = { label: 'raw node:sqlite FULL', value: Math.max(...raw), unit: '/s' as const };
  const single = Math.max(...one);
  const grouped = Math.max(...many);
  return [
    {
      what: 'durable append, one at a time',
      ours: { label: '', value: single, unit: '/s' },
      baseline,
      goal: '≥ 0.80×',
      reached: single >= 0.8 * baseline.value,
    },
    {
      what: `durable append, ${IN_FLIGHT} in flight`,
      ours: { label: '', value: grouped, unit: '/s' },
      baseline,
      goal: '≥ 8×',
      reached: grouped >= 8 * baseline.value,
    },
    {
      what: `commits (one fsync each), ${IN_FLIGHT} in flight`,
      ours: { label: '', value: commits / APPENDS, unit: 'per append' },
      baseline: null,
      goal: '≤ 0.1',
      reached: commits / APPENDS <= 0.1,
    },
  ];
}

const perSecond = (ms: number): number => (APPENDS / ms) * 1000;

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The same bytes in the plainest table there is. */
function rawAppends(directory: string): Promise<number> {
  const database = new DatabaseSync(join(directory, 'raw.sqlite'));
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL');
  database.exec(
    'CREATE TABLE events (position INTEGER PRIMARY KEY, stream, version, record, UNIQUE (stream, version))',
  );
  const insert = database.prepare('INSERT INTO events (stream, version, record) VALUES (?, ?, ?)');
  return timed(() => {
    for (let n = 0; n < APPENDS; n += 1) insert.run(`vm-${n}`, 1, sealed(n).record);
  }).finally(() => database.close());
}

async function ourAppends(directory: string, inFlight: number): Promise<{ ms: number; commits: number }> {
  let commits = 0;
  const world = realWorld(async (point) => {
    if (point === 'store.after-commit') commits += 1;
  });
  const store = await openSqliteStore(world, join(directory, 'ours.sqlite'));
  const ms = await timed(() => appendAll(store, inFlight));
  await store.close();
  return { ms, commits };
}

async function appendAll(store: EventStore, inFlight: number): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < APPENDS) {
      const n = next;
      next += 1;
      await store.append(`vm-${n}`, 0, [sealed(n)]);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

const sealed = (n: number): SealedEvent =>
  seal(
    {
      id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
      type: 'SnapshotRenamed',
      stream: `vm-${n}`,
      version: '1',
      recordedAt: '2026-11-21T12:00:00.000Z',
      actor: 'http:bench',
      correlationId: '',
      causationId: '',
      commandId: '',
      commandDigest: 'x'.repeat(64),
      schemaVersion: '1',
      data: { snapshotId: '00000000-0000-7000-8000-000000000000', name: `name ${n}` },
    },
    CHAIN_START.hash,
  );
