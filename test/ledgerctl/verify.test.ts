/* Does `ledgerctl verify` find what is wrong with a log and its views, and nothing where nothing is? */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteStore } from '#event-store';
import { rebuildViews } from '#views';
import { realWorld } from '#world';
import { checkDisks } from '../../apps/ledgerctl/verify/disks.ts';
import { auditLog } from '../../apps/ledgerctl/verify/log.ts';
import { Report } from '../../apps/ledgerctl/verify/report.ts';
import { openLedgers } from '../../apps/ledgerd/ledger.ts';
import { needsQemu } from '../qemu/rig.ts';
import { ctl, type Ran } from './ctl.ts';
import { VM_ID } from './specimens.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ledgerctl-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const NOWHERE = 'http://127.0.0.1:1';
const at = (name: string): string => join(directory, name);
const verify = (...words: readonly string[]): Promise<Ran> =>
  ctl(NOWHERE, ['verify', '--no-disks', ...words]);

/** A data directory with a VM, a snapshot that failed, and views. */
async function recorded(file = '/i/a'): Promise<string> {
  const world = realWorld();
  const data = at('data');
  await world.files.makeDirectory(data);
  const store = await openSqliteStore(world, join(data, 'ledger.sqlite'));
  const { vms } = openLedgers({ world, store });
  const asked = (key: string) => ({ actor: 'test', correlationId: world.ids.uuid(), request: {}, key });
  const disk = {
    device: 'vda',
    node: 'n',
    format: 'qcow2',
    file,
    readOnly: false,
    default: 'internal',
  };
  const registration = {
    ...{ vmId: VM_ID, name: 'web1', host: 'h', monitor: '/m', guestAgent: null, labels: {}, foreignTags: [] },
    disks: [{ ...disk, default: 'internal' as const }],
  };
  const stream = `vm-${VM_ID}`;
  await vms.handle(stream, { type: 'RegisterVm', registration }, asked('a'));
  await vms.handle(stream, { type: 'ChangeVm', change: { host: 'i' } }, asked('b'));
  await vms.handle(stream, { type: 'ChangeVm', change: { host: 'j' } }, asked('c'));
  await rebuildViews({ world, store, file: join(data, 'views.sqlite') });
  await store.close();
  return data;
}

/** Changes a file of SQLite behind everybody's back. */
function meddle(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  db.exec(sql);
  db.close();
}

test('a log and its views of which nothing is wrong', async () => {
  const data = await recorded();
  const { code, out } = await verify('--data', data);
  expect(out).toContain('ok    I10  the hash chain verifies (3 events in 1 streams)\n');
  expect(out).toContain('ok    I11  the views are what the log says (views of 3 events)\n');
  expect(out).toContain('nothing is wrong\n');
  expect(code).toBe(0);
});

test('a backup is verified without views, and says so in JSON', async () => {
  const data = await recorded();
  await ctl(NOWHERE, ['backup', '--data', data, at('copy')]);
  const { code, out } = await verify('--json', at('copy'));
  expect(code).toBe(0);
  const told = JSON.parse(out) as { events: number; checks: { invariant: string }[] };
  expect(told).toMatchObject({ file: at('copy'), events: 3, streams: 1, breachesCount: 0 });
  expect(told.checks.map(({ invariant }) => invariant)).not.toContain('I11');
});

test('an event that was altered afterwards breaks its chain', async () => {
  const data = await recorded();
  meddle(
    join(data, 'ledger.sqlite'),
    `UPDATE events SET record = replace(record, '"host":"i"', '"host":"x"') WHERE version = 2`,
  );
  const { code, out } = await verify('--data', data);
  expect(code).toBe(6);
  expect(out).toMatch(/^WRONG I10 /m);
  expect(out).toContain(`vm-${VM_ID} version 2`);
  expect(out).toContain('not looked at: the log is damaged');
});

test('views that show something else than the log are named with the row', async () => {
  const data = await recorded();
  meddle(join(data, 'views.sqlite'), `UPDATE checkpoint SET hash = 'x'; DELETE FROM history`);
  const { code, out } = await verify('--data', data);
  expect(code).toBe(6);
  expect(out).toMatch(/^WRONG I11 /m);
  expect(out).toContain('only the rebuilt table history has the row');
  expect(out).toContain('the views show events that the log does not hold');
});

test('views that are a little behind the log are compared as far as they have come', async () => {
  const data = await recorded();
  const world = realWorld();
  const store = await openSqliteStore(world, join(data, 'ledger.sqlite'));
  const asked = { actor: 'test', correlationId: world.ids.uuid(), request: {} };
  await openLedgers({ world, store }).vms.handle(
    `vm-${VM_ID}`,
    { type: 'ChangeVm', change: { host: 'k' } },
    asked,
  );
  await store.close();
  const { code, out } = await verify('--data', data);
  expect(out).toContain('(views of 3 events)');
  expect(code).toBe(0);
});

test('a log that is in use can be verified, views that are in use cannot', async () => {
  const data = await recorded();
  const store = await openSqliteStore(realWorld(), join(data, 'ledger.sqlite'));
  const views = new DatabaseSync(join(data, 'views.sqlite'));
  views.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  const { code, out } = await verify('--data', data);
  views.close();
  await store.close();
  expect(out).toContain(`not looked at: ${join(data, 'views.sqlite')} is in use: stop ledgerd first`);
  expect(code).toBe(0);
});

test('neither the log nor the views are changed by a byte', async () => {
  const data = await recorded();
  const bytes = () => ['ledger.sqlite', 'views.sqlite'].map((name) => readFileSync(join(data, name), 'hex'));
  const before = bytes();
  await verify('--data', data);
  expect(bytes()).toEqual(before);
});

test('views that SQLite cannot read are told, and keep nobody from verifying the log', async () => {
  const data = await recorded();
  writeFileSync(join(data, 'views.sqlite'), 'this is no database, and was one once. '.repeat(200));
  const { code, out } = await verify('--data', data);
  expect(out).toContain('ok    I10 ');
  expect(out).toMatch(/^WRONG I11 .*\n +.*views\.sqlite is damaged/m);
  expect(code).toBe(6);
});

const ofDisks = (...words: readonly string[]): Promise<Ran> => ctl(NOWHERE, ['verify', ...words]);

const nobodyListens = async (): Promise<void> => undefined;

/** A log that was read, and the look at the disks that comes after. */
async function halfWay() {
  const world = realWorld();
  const file = join(await recorded(), 'ledger.sqlite');
  const report = new Report();
  const audited = await auditLog({ file, report, views: null, onProgress: nobodyListens });
  const look = async () => {
    await checkDisks({ world, report, audited, file, host: 'j', onProgress: nobodyListens });
    return report.checks().find(({ invariant }) => invariant === 'I18');
  };
  return { world, file, audited, look };
}

describe('disks', () => {
  test('that are gone are told', async () => {
    const { code, out } = await ofDisks('--host', 'j', '--data', await recorded());
    expect(out).toMatch(/^WRONG I18 .*\n +VM "web1".*has lost its file \/i\/a/m);
    expect(code).toBe(6);
  });

  test.runIf(needsQemu())('that nobody can read any more are told', async () => {
    writeFileSync(at('a.qcow2'), Buffer.alloc(65_536));
    const { code, out } = await ofDisks('--host', 'j', '--data', await recorded(at('a.qcow2')));
    expect(out).toMatch(/^WRONG I14 .*\n +VM "web1".*not in qcow2 format/m);
    expect(code).toBe(6);
  });

  test('of another host are not looked for here', async () => {
    const { code, out } = await ofDisks('--data', await recorded());
    expect(out).toMatch(/^- +I1 .*\n +not looked at: VMs of host "j": this is "here"/m);
    expect(code).toBe(0);
  });

  test('have gone on since a backup of the log was made', async () => {
    const data = await recorded();
    await ctl(NOWHERE, ['backup', '--data', data, at('copy')]);
    const { code, out } = await ofDisks('--host', 'j', at('copy'));
    expect(out).not.toMatch(/ I18 /);
    expect(code).toBe(0);
  });

  test('that somebody works on while they are looked at say nothing', async () => {
    const { world, file, look } = await halfWay();
    const store = await openSqliteStore(world, file);
    const asked = { actor: 'test', correlationId: world.ids.uuid(), request: {} };
    const change = { type: 'ChangeVm' as const, change: { labels: { a: 'b' } } };
    await openLedgers({ world, store }).vms.handle(`vm-${VM_ID}`, change, asked);
    const skipped = [expect.stringContaining('meanwhile')];
    expect(await look()).toMatchObject({ breachesCount: 0, skipped });
    await store.close();
  });

  test('of a machine that is held are not as they should be, and the log has said so', async () => {
    const { audited, look } = await halfWay();
    const hold = { operationId: 'o', reason: 'r', message: 'm', leftovers: [], isTorn: true };
    for (const { vm } of audited.vms) Object.assign(vm, { hold });
    const skipped = [expect.stringMatching(/^held: VM "web1".*has lost its file/)];
    expect(await look()).toMatchObject({ breachesCount: 0, skipped });
  });
});
