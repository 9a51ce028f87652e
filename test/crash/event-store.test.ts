import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { type Envelope, opened, openSqliteStore, type Seal, verifyFile } from '#event-store';
import { realWorld } from '#world';

const ROUNDS = 20;
const CREATION_ROUNDS = 12;
const EVENTS_PER_COMMAND = 3;

const script = join(import.meta.dirname, 'append-forever.ts');

function newFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-crash-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return join(directory, 'ledger.sqlite');
}

/** Runs the appending process until `isTime` says so of what it has said; then kills it like a power cut would. */
async function runUntil(
  file: string,
  name: string,
  delayMs: (said: string) => number | null,
): Promise<string[]> {
  const child = spawn(process.execPath, ['--conditions=source', script, file, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  let isDying = false;
  const look = (): void => {
    const delay = isDying ? null : delayMs(said);
    if (delay === null) return;
    isDying = true;
    void setTimeout(delay).then(() => child.kill('SIGKILL'));
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    look();
  });
  look();
  const [code, signal] = await once(child, 'close');
  expect([code, signal], said).toEqual([null, 'SIGKILL']);
  return said.split('\n');
}

async function everything(file: string): Promise<(Envelope & Seal)[]> {
  const store = await openSqliteStore(realWorld(), file);
  const end = await store.head();
  const events: (Envelope & Seal)[] = [];
  const stop = new AbortController();
  if (end === null) stop.abort();
  for await (const batch of store.since(null, stop.signal)) {
    events.push(...batch.map(opened));
    if (events.at(-1)?.position === end) stop.abort();
  }
  await store.close();
  return events;
}

const wordsOf = (said: readonly string[], verb: string): string[][] =>
  said.filter((line) => line.startsWith(`${verb} `)).map((line) => line.split(' ').slice(1));

test(`killed ${ROUNDS} times while it appends, the log loses no acknowledged event and holds no torn command`, async () => {
  const file = newFile();
  const done = new Map<string, string>();
  const asked = new Set<string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const dyingMs = Math.random() * 60;
    const said = await runUntil(file, `r${round}`, (text) => (text.includes('done') ? dyingMs : null));
    for (const [key = '', version = ''] of wordsOf(said, 'done')) done.set(key, version);
    for (const [key = ''] of wordsOf(said, 'ask')) asked.add(key);

    const events = await everything(file);
    const commands = Map.groupBy(events, ({ commandId }) => commandId);
    for (const [key, version] of done) expect(commands.get(key)?.at(-1)?.version, key).toBe(version);
    for (const [key, parts] of commands) {
      expect(asked, key).toContain(key);
      expect(parts, key).toHaveLength(EVENTS_PER_COMMAND);
    }
  }
  expect((await verifyFile(file)).streams).toBeGreaterThan(1);
  expect(done.size).toBeGreaterThan(ROUNDS);
});

test(`killed ${CREATION_ROUNDS} times while it makes the log, there is a whole log or none`, async () => {
  const startMs = await startTimeMs();
  for (let round = 0; round < CREATION_ROUNDS; round += 1) {
    const file = newFile();
    const dyingMs = startMs * (0.5 + round / CREATION_ROUNDS);
    await runUntil(file, 'r', () => dyingMs);
    const events = await everything(file);
    expect(events.length % EVENTS_PER_COMMAND).toBe(0);
  }
});

/** How long the process takes until its log is open. */
async function startTimeMs(): Promise<number> {
  const begun = performance.now();
  let openMs = 0;
  await runUntil(newFile(), 'r', (said) => {
    if (!said.includes('open')) return null;
    openMs = performance.now() - begun;
    return 0;
  });
  return openMs;
}
