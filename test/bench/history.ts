import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { grow, type Growth, idOf, recordedAtMs } from './grown.ts';
import { median, quantile, type Row, timed } from './row.ts';
import { Served } from './served.ts';

const SNAPSHOTS = 100_000;
/** Enough for full pages of 100. */
const SNAPSHOTS_FEW = 250;
/** The best of some rounds, ours and the baseline's in turns: what else the machine does meanwhile disturbs both. */
const ROUNDS = 3;
const REQUESTS_PER_ROUND = 300;
const WARM_UP = 30;
const COMMANDS = 300;

/** A VM as `grow` has left it. */
interface Grown {
  readonly vmId: string;
  readonly growth: Growth;
  readonly snapshots: number;
  readonly events: number;
}

/** The path of the n-th request. */
type Asking = (vm: Grown, n: number) => string;

/** Pages of VMs with 100,000 snapshots in their history, and commands on one, beside the same of VMs with few. */
export async function historyRows(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-bench-'));
  try {
    const [many, few] = await grownIn(join(directory, 'ledger.sqlite'));
    const ledgerd = await Served.ledgerd(directory, ['--roles', 'http']);
    return await ledgerd.during(async () => {
      await ledgerd.ready();
      return await rowsOf(ledgerd, many, few);
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** One VM of each shape with very many snapshots, and one of each with few. */
async function grownIn(file: string): Promise<readonly [readonly Grown[], readonly Grown[]]> {
  const world = realWorld();
  const store = await openSqliteStore(world, file);
  const grown = async (snapshots: number): Promise<Grown[]> => {
    const vms: Grown[] = [];
    for (const growth of ['window', 'chain', 'star'] as const) {
      const vmId = world.ids.uuid();
      vms.push({ vmId, growth, snapshots, events: await grow(store, vmId, growth, snapshots) });
      if (snapshots === SNAPSHOTS)
        console.error(`  a ${growth} of ${snapshots.toLocaleString('en')} snapshots`);
    }
    return vms;
  };
  const vms = [await grown(SNAPSHOTS), await grown(SNAPSHOTS_FEW)] as const;
  await store.close();
  return vms;
}

async function rowsOf(ledgerd: Served, many: readonly Grown[], few: readonly Grown[]): Promise<Row[]> {
  const pages = [
    { what: 'page of 100 snapshots, as of any instant', asking: snapshotsAsOf, goalMs: 15 },
    { what: 'page of 100 snapshots that are gone', asking: goneAsOf, goalMs: 15 },
    { what: 'page of 100 ancestors', asking: ancestors, goalMs: 10 },
    { what: 'page of 100 of the tree, as of any instant', asking: treeAsOf, goalMs: 20 },
  ];
  const rows: Row[] = [];
  for (const { what, asking, goalMs } of pages) {
    let [ours, theirs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < ROUNDS; round += 1) {
      ours = Math.min(ours, await p99Of(ledgerd, many, asking));
      theirs = Math.min(theirs, await p99Of(ledgerd, few, asking));
    }
    rows.push({
      what: `${what}: p99`,
      ours: { label: '', value: ours, unit: 'ms' },
      baseline: { label: `VMs of ${SNAPSHOTS_FEW}`, value: theirs, unit: 'ms' },
      goal: `≤ ${goalMs} ms`,
      reached: ours <= goalMs,
    });
  }
  return [...rows, await commandRow(ledgerd, many, few)];
}

const pathOf = ({ vmId }: Grown): string => `/v1/vms/${vmId}`;

/** Spread over all there is, and the same in every run: a large prime apart. */
const spread = (n: number, among: number): number => ((n * 1_000_003) % among) + 1;

const asOf = ({ events }: Grown, n: number): string =>
  `asOf=${new Date(recordedAtMs(spread(n, events))).toISOString()}`;

const snapshotsAsOf: Asking = (vm, n) => `${pathOf(vm)}/snapshots?pageSize=100&${asOf(vm, n)}`;
const goneAsOf: Asking = (vm, n) => `${snapshotsAsOf(vm, n)}&status=deleted`;
const treeAsOf: Asking = (vm, n) => `${pathOf(vm)}/lineage?pageSize=100&${asOf(vm, n)}`;
const ancestors: Asking = (vm, n) =>
  `${pathOf(vm)}/snapshots/${idOf(spread(n, vm.snapshots))}/ancestors?pageSize=100`;

/** One request after the other, the VMs in turns. */
async function p99Of(ledgerd: Served, vms: readonly Grown[], asking: Asking): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < REQUESTS_PER_ROUND + WARM_UP; n += 1) {
    const vm = vms[n % vms.length];
    if (!vm) break;
    const ms = await timed(() => answered(`${ledgerd.url}${asking(vm, n)}`));
    if (n >= WARM_UP) times.push(ms);
  }
  return quantile(times, 0.99);
}

async function answered(url: string, init?: RequestInit): Promise<void> {
  const answer = await fetch(url, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${text}`);
}

/** Renames of the newest snapshot, of the window that keeps 100 alive; the first finds out what the VM has come to. */
async function commandRow(ledgerd: Served, many: readonly Grown[], few: readonly Grown[]): Promise<Row> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let n = 0; n < COMMANDS + WARM_UP; n += 1) {
    const [long, short] = [await rename(ledgerd, many[0], n), await rename(ledgerd, few[0], n)];
    if (n < WARM_UP) continue;
    ours.push(long);
    theirs.push(short);
  }
  const [long, short] = [median(ours), median(theirs)];
  return {
    what: 'command on a VM with 100,000 snapshots in its history (p50)',
    ours: { label: '', value: long, unit: 'ms' },
    baseline: { label: 'on one with few', value: short, unit: 'ms' },
    goal: '≤ 2×',
    reached: long <= 2 * short,
  };
}

async function rename(ledgerd: Served, vm: Grown | undefined, n: number): Promise<number> {
  if (!vm) return Number.NaN;
  const url = `${ledgerd.url}${pathOf(vm)}/snapshots/${idOf(vm.snapshots)}`;
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name: `renamed ${n}` });
  return await timed(() => answered(url, { method: 'PATCH', headers, body }));
}
