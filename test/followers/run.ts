/* Many write, some read along, and ledgerd, in which the views are kept, is killed again and again. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { rebuildViews } from '#views';
import { auditLog } from '../../apps/ledgerctl/verify/log.ts';
import { Report } from '../../apps/ledgerctl/verify/report.ts';
import { openViewsCheck } from '../../apps/ledgerctl/verify/views.ts';
import { makeDirectory } from '../qemu/rig.ts';
import { poller, type Reader, type Seen, watcher, watchingCtl } from './readers.ts';
import { Service } from './service.ts';
import { fleet, writer, type Written } from './writers.ts';

export interface FollowersPlan {
  readonly writers: number;
  readonly machines: number;
  readonly kills: number;
  /** Of ledgerd, from ready to killed, in ms: at least, and at most. */
  readonly lives: readonly [number, number];
  readonly onKill?: (kill: number, facts: { readonly events: number }) => void;
}

export interface FollowersEnd {
  readonly events: number;
  readonly acknowledged: number;
  readonly retries: number;
  readonly readers: readonly { readonly name: string; readonly seen: number; readonly connections: number }[];
  /** In words; empty when all is as it must be. */
  readonly wrong: readonly string[];
}

const CAUGHT_UP_WITHIN_MS = 90_000; // ledgerctl tries ever more seldom, for about a minute.
const POLL_MS = 50;
const EVENTS_PER_LIFE_MIN = 20;

export async function followersRun(plan: FollowersPlan): Promise<FollowersEnd> {
  const directory = makeDirectory();
  const service = await Service.start(directory);
  const { url } = service;
  const vmIds = await fleet(url, directory, plan.machines);
  const [writing, reading] = [new AbortController(), new AbortController()];
  const readers = [watcher, poller, watchingCtl].map((open) => open(url, reading.signal));
  await caughtUp(readers, 1);
  const writers = Array.from({ length: plan.writers }, (_, index) =>
    writer(url, { name: `w${index}`, vmIds }, writing.signal),
  );
  const wrong = await killedOften(service, plan, () => Math.max(...readers.map(({ seen }) => seen.length)));
  writing.abort();
  const written = await Promise.all(writers);
  await quiet(url, vmIds);
  const log = await logOf(url);
  await caughtUp(readers, log.length);
  await setTimeout(POLL_MS); // What comes twice would come now.
  reading.abort();
  await Promise.all(readers.map(({ stopped }) => stopped));
  wrong.push(...readers.flatMap((reader) => misread(reader, log)), ...miswritten(written, log));
  wrong.push(...(await misshown(service, vmIds)));
  return {
    events: log.length,
    acknowledged: written.reduce((sum, { keys }) => sum + keys.length, 0),
    retries: written.reduce((sum, { retries }) => sum + retries, 0),
    readers: readers.map(({ name, seen, connections }) => ({
      ...{ name, seen: seen.length, connections: connections() },
    })),
    wrong,
  };
}

/** After each death the log and the views that lie there are held beside each other. */
async function killedOften(
  service: Service,
  { kills, lives, onKill }: FollowersPlan,
  seenSoFar: () => number,
): Promise<string[]> {
  const [leastMs, mostMs] = lives;
  const wrong: string[] = [];
  for (let kill = 1; kill <= kills; kill += 1) {
    const before = seenSoFar();
    await setTimeout(leastMs + Math.random() * (mostMs - leastMs));
    for (let waited = 0; waited < CAUGHT_UP_WITHIN_MS; waited += POLL_MS) {
      if (seenSoFar() >= before + EVENTS_PER_LIFE_MIN) break; // A busy host gets to nothing in so short a life.
      await setTimeout(POLL_MS);
    }
    await service.kill();
    const { events, breaches } = await audited(service);
    wrong.push(...breaches.map((words) => `after death ${kill}: ${words}`));
    onKill?.(kill, { events });
    await service.again();
  }
  return wrong;
}

/** What `ledgerctl verify` says of the log and of the views, while nobody has them open. */
async function audited({ directory }: Service): Promise<{ events: number; breaches: string[] }> {
  const report = new Report();
  const views = await openViewsCheck(realWorld(), join(directory, 'data/views.sqlite'), report);
  const file = join(directory, 'data/ledger.sqlite');
  const found = await auditLog({ file, report, views, onProgress: async () => undefined });
  views?.compareIn(report, found);
  views?.close();
  const breaches = report
    .checks()
    .flatMap(({ invariant, breaches: words }) => words.map((why) => `${invariant}: ${why}`));
  return { events: found.events, breaches };
}

interface Logged extends Seen {
  readonly commandId?: string;
  readonly type: string;
}

async function logOf(url: string): Promise<Logged[]> {
  const text = await (await fetch(`${url}/v1/events`)).text();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Logged);
}

async function quiet(url: string, vmIds: readonly string[]): Promise<void> {
  for (const vmId of vmIds) {
    for (let waited = 0; waited < CAUGHT_UP_WITHIN_MS; waited += POLL_MS) {
      const answer = await fetch(`${url}/v1/vms/${vmId}`);
      const { operationId } = (await answer.json()) as { operationId?: string | null };
      if (operationId === null) break;
      await setTimeout(POLL_MS);
    }
  }
}

async function caughtUp(readers: readonly Reader[], count: number): Promise<void> {
  for (let waited = 0; waited < CAUGHT_UP_WITHIN_MS; waited += POLL_MS) {
    if (readers.every(({ seen }) => seen.length >= count)) break;
    await setTimeout(POLL_MS);
  }
}

/** Each position once, in order, and with the content that stands in the log. */
function misread({ name, seen }: Reader, log: readonly Seen[]): string[] {
  const longest = Math.max(seen.length, log.length);
  for (let index = 0; index < longest; index += 1) {
    const [was, is] = [seen[index], log[index]];
    if (was?.position === is?.position && was?.hash === is?.hash) continue;
    return [
      `${name}, event ${index + 1}: saw ${was?.position ?? 'nothing'}, the log says ${is?.position ?? 'nothing'}`,
    ];
  }
  return [];
}

/** What was acknowledged stands in the log, once. */
function miswritten(written: readonly Written[], log: readonly Logged[]): string[] {
  const counts = new Map<string, number>();
  for (const { commandId, type } of log)
    if (commandId !== undefined && TOLD.has(type)) counts.set(commandId, (counts.get(commandId) ?? 0) + 1);
  return written
    .flatMap(({ keys }) => keys)
    .filter((key) => counts.get(key) !== 1)
    .map((key) => `${key} was acknowledged and stands in the log ${counts.get(key) ?? 0} times`);
}

const TOLD: ReadonlySet<string> = new Set(['VmChanged', 'SnapshotRequested']);

/** Where the views that have lived through it all say something else than those that are built anew. */
async function misshown(service: Service, vmIds: readonly string[]): Promise<string[]> {
  const lived = await shownBy(service.url, vmIds);
  await service.kill();
  const wrong = (await audited(service)).breaches;
  const world = realWorld();
  const store = await openSqliteStore(world, join(service.directory, 'data/ledger.sqlite'));
  await rebuildViews({ world, store, file: join(service.directory, 'data/views.sqlite') });
  await store.close();
  await service.again();
  const rebuilt = await shownBy(service.url, vmIds);
  await service.kill();
  for (const [path, body] of lived)
    if (rebuilt.get(path) !== body) wrong.push(`${path} says something else from views that are built anew`);
  return wrong;
}

async function shownBy(url: string, vmIds: readonly string[]): Promise<Map<string, string>> {
  const ofVms = vmIds.flatMap((id) =>
    ['', '/snapshots?pageSize=1000', '/lineage?pageSize=1000', '/history?pageSize=1000'].map(
      (end) => `/v1/vms/${id}${end}`,
    ),
  );
  const shown = new Map<string, string>();
  for (const path of [...ofVms, '/v1/vms', '/v1/operations?pageSize=1000']) {
    const answer = await fetch(`${url}${path}`);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    shown.set(path, await answer.text());
  }
  return shown;
}
