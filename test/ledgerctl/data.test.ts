import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Asked, openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { openLedgers } from '../../apps/ledgerd/ledger.ts';
import { ctl } from './ctl.ts';
import { VM_ID } from './specimens.ts';

const NOWHERE = 'http://127.0.0.1:1';
const EVENTS = 3;

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ledgerctl-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const at = (name: string): string => join(directory, name);
const run = (...words: readonly string[]) => ctl(NOWHERE, words);

/** A data directory whose log holds three events. */
async function recorded(name: string): Promise<string> {
  const world = realWorld();
  await world.files.makeDirectory(at(name));
  const store = await openSqliteStore(world, join(at(name), 'ledger.sqlite'));
  const { vms } = openLedgers({ world, store });
  const asked = (): Asked => ({ actor: 'test', correlationId: world.ids.uuid(), request: {} });
  const registration = {
    vmId: VM_ID,
    name: 'web1',
    host: 'h',
    monitor: '/m',
    guestAgent: null,
    labels: {},
    disks: [],
    foreignTags: [],
  };
  const stream = `vm-${VM_ID}`;
  await vms.handle(stream, { type: 'RegisterVm', registration }, asked());
  await vms.handle(stream, { type: 'ChangeVm', change: { host: 'i' } }, asked());
  await vms.handle(stream, { type: 'ChangeVm', change: { host: 'j' } }, asked());
  await store.close();
  return at(name);
}

test('a backup can be restored into another directory, and says how much it holds', async () => {
  const data = await recorded('data');
  const copy = at('copy.backup');
  const made = await run('backup', '--data', data, copy);
  expect(made).toMatchObject({
    code: 0,
    out: `backed up: ${copy}\nevents:    ${EVENTS}\nstreams:   1\n`,
  });
  const restored = await run('restore', '--data', at('new/data'), copy, '--json');
  expect({ ...restored, out: JSON.parse(restored.out) }).toEqual({
    code: 0,
    out: { file: join(at('new/data'), 'ledger.sqlite'), events: EVENTS, streams: 1 },
    err: '',
  });
  expect(await run('rebuild', '--data', at('new/data'))).toMatchObject({ code: 0 });
});

test('nothing is overwritten', async () => {
  const data = await recorded('data');
  const copy = at('copy.backup');
  await run('backup', '--data', data, copy);
  for (const words of [
    ['backup', '--data', data, copy],
    ['restore', '--data', data, copy],
  ]) {
    const { code, err } = await run(...words);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('data-unusable: ') });
    expect(err).toContain('exists');
  }
});

test('a wrong directory is left as it is', async () => {
  writeFileSync(at('stranger'), 'not a log, but long enough to look at');
  for (const words of [
    ['rebuild', '--data', directory],
    ['backup', '--data', directory, at('copy')],
    ['restore', '--data', at('new'), at('missing')],
    ['restore', '--data', at('new'), at('stranger')],
    ['rebuild', '--store', 'memory:'],
  ]) {
    const { code, err } = await run(...words);
    expect(err).toMatch(/data-unusable: |usage: /);
    expect([1, 2]).toContain(code);
  }
  expect(
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('sqlite')),
  ).toEqual([]);
});

test('rebuild builds the views anew, and refuses while a daemon holds the log', async () => {
  const data = await recorded('data');
  const log = join(data, 'ledger.sqlite');
  const rebuilt = await run('rebuild', '--data', data, '--json');
  expect({ ...rebuilt, out: JSON.parse(rebuilt.out) }).toEqual({
    code: 0,
    out: { file: log, events: EVENTS },
    err: '',
  });
  const daemon = await openSqliteStore(realWorld(), log);
  const refused = await run('rebuild', '--data', data);
  expect(refused).toMatchObject({ code: 4, out: '' });
  expect(refused.err).toContain('data-in-use: ');
  expect(await run('backup', '--data', data, at('copy'))).toMatchObject({ code: 0 });
  await daemon.close();
});
