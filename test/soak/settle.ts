/* When the shaking ends: everything comes to rest, and is held against the ledger. */
import { setTimeout } from 'node:timers/promises';
import { unanswered } from '../crash/machine.ts';
import type { Shown } from '../crash/owner.ts';
import type { Caller } from './caller.ts';
import type { Shaken } from './faults.ts';
import type { Ledgerd } from './ledgerd.ts';
import type { SoakMachine } from './machine.ts';

const QUIET_WITHIN_MS = 30_000;
const SEEN_WITHIN_MS = 10_000;
const POLL_MS = 100;

/** What is wrong, and how many events the log holds. Everybody has ended then. */
export async function settled(
  { ledgerd, machines, watchers }: Shaken,
  callers: readonly Caller[],
  endWatching: () => Promise<void>,
): Promise<{ wrong: string[]; events: number }> {
  const wrong: string[] = [];
  for (const machine of machines) wrong.push(...(await restless(ledgerd, machine)));
  if (wrong.length === 0) for (const caller of callers) await caller.check();
  wrong.push(...callers.flatMap((caller) => caller.wrong));
  for (const machine of machines) wrong.push(...(await wrongWith(ledgerd, machine)));
  const count = (await eventsOf(ledgerd)).length;
  for (
    let waitedMs = 0;
    waitedMs < SEEN_WITHIN_MS && watchers.some(({ seen }) => seen < count);
    waitedMs += POLL_MS
  )
    await setTimeout(POLL_MS);
  await endWatching();
  for (const { seen, wrong: words } of watchers)
    wrong.push(...words, ...(seen === count ? [] : [`a watcher has seen ${seen} of ${count} events`]));
  await ledgerd.stop();
  for (const { subject } of machines) await subject.qemu.stop(); // Images that nobody writes are checked whole.
  const { events, checks } = await ledgerd.verified();
  wrong.push(
    ...checks.flatMap(({ invariant, breaches }) => breaches.map((words) => `${invariant}: ${words}`)),
  );
  wrong.push(...new Set(ledgerd.troubles.map((words) => `ledgerd has logged: ${words}`)));
  return { wrong, events };
}

async function restless(ledgerd: Ledgerd, { path, name }: SoakMachine): Promise<string[]> {
  for (let waitedMs = 0; waitedMs < QUIET_WITHIN_MS; waitedMs += POLL_MS) {
    const { operationId } = await ledgerd.ask<Shown>('GET', path);
    if (operationId === null) return [];
    await setTimeout(POLL_MS);
  }
  return [`${name}: an operation does not end`];
}

/** What the owner has left is told as drift, and nothing of ours is wrong. */
const OWNERS = /owner-\d+/;

async function wrongWith(ledgerd: Ledgerd, machine: SoakMachine): Promise<string[]> {
  await ledgerd.answer('POST', `${machine.path}/reconcile`);
  const { conditions } = await ledgerd.ask<Shown>('GET', machine.path);
  const told = conditions.filter(({ message }) => !OWNERS.test(message));
  const events = (await eventsOf(ledgerd, machine.path)).map((line) => JSON.parse(line) as Event);
  return [
    ...told.map(({ type, message }) => `${machine.name}: ${type}: ${message}`),
    ...((await machine.isRunning()) ? [] : [`${machine.name} stands still`]),
    ...(await unanswered(machine.subject, { events: async () => events })),
  ];
}

type Event = { readonly type: string; readonly correlationId: string; readonly data: object };

async function eventsOf({ url }: Ledgerd, path = ''): Promise<string[]> {
  const text = await (await fetch(`${url}/v1${path}/events`)).text();
  return text.split('\n').filter((line) => line !== '');
}
