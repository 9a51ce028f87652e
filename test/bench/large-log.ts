import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { progress } from './progress.ts';
import { median, type Row } from './row.ts';
import { Served } from './served.ts';
import { writeSyntheticLog } from './synthetic-log.ts';

const EVENTS = 1_000_000;
const VMS = 1_000;
const KEPT = 30;
const STARTS = 3;

/** A log of a million events: how long it takes to build the views from it, and to start ledgerd on it. */
export async function largeLogRows(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-bench-'));
  try {
    await fill(join(directory, 'ledger.sqlite'));
    return [...replayRows(directory), ...(await startRows(directory))];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function fill(file: string): Promise<void> {
  const store = await openSqliteStore(realWorld(), file);
  const onProgress = progress('events written', EVENTS);
  await writeSyntheticLog(store, { events: EVENTS, vms: VMS, kept: KEPT, seed: 1, onProgress });
  await store.close();
}

interface Replayed {
  readonly seconds: number;
  readonly memoryMiB: number;
}

function replayRows(directory: string): Row[] {
  const raw = replayed('raw', directory);
  const plain = replayed('plain', directory);
  const verified = replayed('verified', directory);
  const baseline = { label: 'raw node:sqlite, read 1 M, insert 1 M', value: raw.seconds, unit: 's' } as const;
  return [
    {
      what: 'all views from 1 M events',
      ours: { label: '', value: plain.seconds, unit: 's' },
      baseline,
      goal: '≤ 6 s',
      reached: plain.seconds <= 6,
    },
    {
      what: 'the same, every hash verified',
      ours: { label: '', value: verified.seconds, unit: 's' },
      baseline,
      goal: '≤ 10 s',
      reached: verified.seconds <= 10,
    },
    {
      what: 'the most memory it takes',
      ours: { label: '', value: plain.memoryMiB, unit: 'MiB' },
      baseline: { label: 'raw', value: raw.memoryMiB, unit: 'MiB' },
      goal: '≤ 400 MiB',
      reached: plain.memoryMiB <= 400,
    },
  ];
}

function replayed(how: string, directory: string): Replayed {
  const said = execFileSync(process.execPath, ['dist/test/bench/replay-once.js', how, directory]);
  return JSON.parse(said.toString()) as Replayed;
}

async function startRows(directory: string): Promise<Row[]> {
  const without = await startOn(directory);
  const times: number[] = [];
  for (let start = 0; start < STARTS; start += 1) times.push(await startOn(directory));
  const empty = join(directory, 'empty');
  mkdirSync(empty);
  const baseline = { label: 'on an empty log', value: await startOn(empty), unit: 's' } as const;
  const [ours, goal] = [median(times), { kept: 3, anew: 12 }];
  return [
    {
      what: 'start with 1 M events, views and states kept',
      ours: { label: '', value: ours, unit: 's' },
      baseline,
      goal: `≤ ${goal.kept} s`,
      reached: ours <= goal.kept,
    },
    {
      what: 'start with 1 M events, nothing but the log',
      ours: { label: '', value: without, unit: 's' },
      baseline,
      goal: `≤ ${goal.anew} s`,
      reached: without <= goal.anew,
    },
  ];
}

/** From the spawn to the first 200 of /health/ready, in s. All roles of one host, which has all VMs. */
async function startOn(directory: string): Promise<number> {
  const startedAt = performance.now();
  const ledgerd = await Served.ledgerd(directory, ['--monitor-root', directory, '--host', 'bench']);
  return ledgerd.during(async () => {
    await ledgerd.ready();
    return (performance.now() - startedAt) / 1_000;
  });
}
