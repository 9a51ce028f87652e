import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { realWorld } from '#world';
import { openLedger } from '../handle.ts';
import type { PersistedState } from '../state-store.ts';
import { empty, jars, put } from '../story/jar.ts';
import { asked, counted } from '../story/ledger.ts';
import { openSqliteStates } from './sqlite-states.ts';
import { newFile, openLog } from './story/files.ts';

const STATE: PersistedState = {
  version: 7,
  hash: 'ab'.repeat(32),
  evolveVersion: 3,
  bytes: Uint8Array.of(0, 1, 2, 255),
};

/** Opens states and notes what they complain about. */
function openStates(file: string) {
  const troubles: unknown[] = [];
  const states = openSqliteStates(file, (error) => void troubles.push(error));
  onTestFinished(() => states.close());
  return { states, troubles };
}

function execute(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

describe('persisted states', () => {
  test('are given back as they were put, also to the next process', async () => {
    const file = newFile();
    const { states } = openStates(file);
    expect(await states.get('s')).toBeNull();
    await states.put('s', { ...STATE, version: 6 });
    await states.put('s', STATE);
    expect(await states.get('s')).toEqual(STATE);
    await states.close();
    const next = openStates(file);
    expect(await next.states.get('s')).toEqual(STATE);
    expect(next.troubles).toEqual([]);
  });

  test.each([
    ['bytes', "bytes = x'00'"],
    ['version', 'version = 8'],
    ['hash', "hash = '00'"],
    ['evolve version', 'evolve_version = 4'],
    ['stream', "stream = 't'"],
    ['checksum', 'checksum = NULL'],
  ])('with another %s are none', async (_, change) => {
    const file = newFile();
    const { states } = openStates(file);
    await states.put('s', STATE);
    await states.close();
    execute(file, `UPDATE states SET ${change}`);
    const next = openStates(file);
    expect(await next.states.get('s')).toBeNull();
    expect(await next.states.get('t')).toBeNull();
  });

  test.each([
    ['garbage', (file: string) => writeFileSync(file, Buffer.alloc(9_000, 0xa5))],
    ['a torn file', (file: string) => truncateSync(file, readFileSync(file).length - 4_000)],
    ['a file of another version', (file: string) => execute(file, 'PRAGMA user_version = 2')],
    ['a file without the table', (file: string) => execute(file, 'DROP TABLE states')],
    ['an empty file', (file: string) => truncateSync(file, 0)],
  ])('in %s are begun anew', async (_, damage) => {
    const file = newFile();
    const { states } = openStates(file);
    await states.put('s', { ...STATE, bytes: new Uint8Array(20_000) });
    await states.close();
    damage(file);
    const next = openStates(file);
    expect(await next.states.get('s')).toBeNull();
    await next.states.put('s', STATE);
    expect(await next.states.get('s')).toEqual(STATE);
  });

  test('that cannot be kept anywhere are reported and are none', async () => {
    const file = newFile();
    mkdirSync(file);
    const { states, troubles } = openStates(file);
    await states.put('s', STATE);
    expect(await states.get('s')).toBeNull();
    expect(troubles.length).toBeGreaterThan(0);
  });
});

test('a ledger on disk goes on after a restart: keys hold, and only the tail is read', async () => {
  const [file, statesFile] = [newFile(), newFile()];
  const world = realWorld();
  const many = put(...Array.from({ length: 2_000 }, () => 'red'));
  const store = await openLog(file);
  const { states } = openStates(statesFile);
  const ledger = openLedger({ world, store, states, decider: jars });
  const first = await ledger.handle('jar', many, asked({ key: 'k' }));
  await ledger.handle('jar', empty, asked());
  await store.close(); // Without closing the ledger: the process was killed.
  await states.close();

  const { store: again, reads } = counted(await openLog(file));
  const next = openLedger({ world, store: again, states: openStates(statesFile).states, decider: jars });
  expect(await next.state('jar')).toEqual({ state: { marbles: [] }, version: 2_001 });
  expect(reads).toEqual([1]);
  expect(await next.handle('jar', many, asked({ key: 'k' }))).toEqual({ ...first, replayed: true });
  expect(await next.handle('jar', put('blue'), asked())).toMatchObject({ version: 2_002 });
});
