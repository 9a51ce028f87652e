/* Others read the layers of a machine too: copies of its disks, and machines that stand on them. Does a delete let them? */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { v7 } from 'uuid';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { realWorld } from '#world';
import { type Daemon, startDaemon } from '../../apps/ledgerd/daemon.ts';
import { configOf } from '../http/ledgerd.ts';
import { outcomeOf } from '../hypervisor/notebook.ts';
import { backup, external, type Sync } from './backups.ts';
import { contents, write } from './branches.ts';
import { type House, house, imageWrite } from './house.ts';
import { cleanUp, makeDirectory, makeDisk, needsQemu } from './rig.ts';

let daemon: Daemon | null = null;
afterEach(async () => {
  await daemon?.stop();
  daemon = null;
});
afterAll(cleanUp);

/** What an image reads, whoever has it open. */
function digest(file: string): string {
  const raw = `${file}.read`;
  execFileSync('qemu-img', ['convert', '-U', '-f', 'qcow2', '-O', 'raw', file, raw]);
  const hash = createHash('sha256').update(readFileSync(raw)).digest('hex');
  rmSync(raw);
  return hash;
}

const WISH = { disks: [external('dev-da')] };

/** root and leaf, and a copy that stands on what leaf has frozen, or on what lies below that. */
async function copied(power: 'on' | 'off', sync: Sync) {
  const home = await house({ letters: 'a' });
  await write(home, 'a', 0x11, 1);
  if (power === 'off') await home.off();
  const diskOnly = power === 'on';
  const root = await created(home, { ...WISH, diskOnly });
  await write(home, 'a', 0x22, 2);
  const target = join(home.dir, 'copy.of-a');
  const leaf = await created(home, { ...WISH, diskOnly, backups: [backup('dev-da', target, { sync })] });
  await write(home, 'a', 0x33, 1);
  return { home, root, leaf, target };
}

async function created(home: House, wish: Parameters<House['book']['create']>[0]): Promise<string> {
  const { snapshotId, end } = await home.book.create(wish);
  expect(end).toBe('created');
  return snapshotId;
}

async function deletedAll({ book }: House): Promise<string> {
  book.handle({ type: 'DeleteAllSnapshots', operationId: v7() });
  return outcomeOf(await book.work()).end;
}

const same = (home: House, before: Record<string, string>): void => {
  const after = contents(home);
  expect(after).toEqual(Object.fromEntries(Object.keys(after).map((what) => [what, before[what]])));
};

describe.runIf(needsQemu()).each(['on', 'off'] as const)('of a machine that is %s a copy', (power) => {
  test.each(['root', 'leaf'] as const)(
    'that holds only its top reads on when %s is merged',
    async (which) => {
      const { home, target, ...ids } = await copied(power, 'top');
      const [read, before] = [digest(target), contents(home)];
      expect((await home.book.delete(ids[which], 'merge')).end).toBe('deleted');
      expect(digest(target)).toBe(read);
      same(home, before);
    },
  );

  test('that holds only its top reads on when all are deleted', async () => {
    const { home, target } = await copied(power, 'top');
    const [read, before] = [digest(target), contents(home)];
    expect(await deletedAll(home)).toBe('deleted');
    expect(digest(target)).toBe(read);
    same(home, before);
    expect(home.book.vm.snapshots.size).toBe(0);
  });
});

describe.runIf(needsQemu())('of a machine that runs a copy', () => {
  test('that holds what was overwritten since reads on when its layer would be merged away', async () => {
    const home = await house({ letters: 'a' });
    await write(home, 'a', 0x11, 1);
    const root = await created(home, { ...WISH, diskOnly: true });
    const target = join(home.dir, 'copy.of-a');
    const leaf = home.book.ask({
      ...WISH,
      diskOnly: true,
      backups: [backup('dev-da', target, { sync: 'none' })],
    });
    const working = home.book.work();
    const operation = home.book.vm.operation;
    await expect
      .poll(() =>
        home.hypervisor.cancel(home.book.vm, operation ?? { id: '' }).then(() => 'canceled', String),
      )
      .toBe('canceled');
    expect((await working).type).toBe('ReportCreated');
    await write(home, 'a', 0x33, 1);
    const read = digest(target);
    for (const id of [leaf, root]) {
      expect((await home.book.delete(id, 'merge')).end).toBe('deleted');
      expect(digest(target)).toBe(read);
    }
    const [started] = home.book.events.filter(({ type }) => type === 'OperationStarted').slice(-2);
    expect(JSON.stringify(started?.data)).toContain(`for the backup ${target} reads it`);
  });

  test('that holds everything keeps no layer', async () => {
    const { home, target } = await copied('on', 'full');
    const read = digest(target);
    expect(await deletedAll(home)).toBe('deleted');
    expect([...home.book.vm.layers.keys()]).toEqual([home.fileOf('a')]);
    expect(digest(target)).toBe(read);
  });
});

interface Answer {
  readonly id: string;
  readonly outcome?: string;
  readonly snapshotId?: string;
  readonly disks?: readonly { readonly file: string }[];
}

async function ask(method: string, path: string, body?: object): Promise<Answer> {
  const answer = await fetch(`${daemon?.address}${path}`, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return (await answer.json()) as Answer;
}

const ended = async (asked: Answer): Promise<Answer> => ask('GET', `/v1/operations/${asked.id}?wait=20s`);

/** A machine that is off, and has one image. */
async function machine(directory: string, name: string, file: string): Promise<string> {
  const disks = [{ device: 'vda', file, format: 'qcow2' }];
  return (await ask('POST', '/v1/vms', { name, monitor: join(directory, name), disks })).id;
}

async function captured(vm: string): Promise<string> {
  const disks = [{ device: 'vda', snapshot: 'external' }];
  const end = await ended(await ask('POST', `/v1/vms/${vm}/snapshots`, { disks }));
  expect(end.outcome).toBe('succeeded');
  return end.snapshotId ?? '';
}

const topOf = async (vm: string): Promise<string> =>
  (await ask('GET', `/v1/vms/${vm}`)).disks?.[0]?.file ?? '';

const cloneOf = (file: string, name: string): string => {
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', file, '-F', 'qcow2', name]);
  return name;
};

/** A machine that is off, and a directory for one that stands on its layers. */
async function pair() {
  const directory = makeDirectory();
  const config = configOf({ args: ['--monitor-root', directory, '--image-root', directory] });
  daemon = await startDaemon({ config, world: realWorld(), log: pino({ level: 'silent' }) });
  const base = makeDisk(join(directory, 'base.qcow2'));
  imageWrite(base, 0x11);
  return { directory, base, vm: await machine(directory, 'one', base) };
}

describe.runIf(needsQemu())('a machine that is off and stands on a layer of another one', () => {
  test.each(['by its image', 'read-only, through another image'])(
    'reads the same when that one goes back into its own image: %s',
    async (how) => {
      const { directory, base, vm } = await pair();
      const snapshot = await captured(vm);
      const first = cloneOf(base, join(directory, 'clone.qcow2'));
      const clone = how === 'by its image' ? first : cloneOf(first, join(directory, 'second.qcow2'));
      await machine(directory, 'other', clone);
      imageWrite(await topOf(vm), 0x22);
      const [read, present] = [digest(clone), digest(await topOf(vm))];
      const end = await ended(await ask('DELETE', `/v1/vms/${vm}/snapshots/${snapshot}?strategy=merge`));
      expect(end.outcome).toBe('succeeded');
      expect(digest(clone)).toBe(read);
      expect(digest(await topOf(vm))).toBe(present);
    },
  );

  test('finds it there though nobody else needs it', async () => {
    const { directory, vm } = await pair();
    const root = await captured(vm);
    imageWrite(await topOf(vm), 0x22);
    const leaf = await captured(vm);
    const layer = await topOf(vm);
    const clone = cloneOf(layer, join(directory, 'clone.qcow2'));
    await machine(directory, 'other', clone);
    const read = digest(clone);
    expect(
      (await ended(await ask('POST', `/v1/vms/${vm}/snapshots/${root}/load`, { safety: 'none' }))).outcome,
    ).toBe('succeeded');
    expect(existsSync(layer)).toBe(true);
    expect(
      (await ended(await ask('DELETE', `/v1/vms/${vm}/snapshots/${leaf}?strategy=discard`))).outcome,
    ).toBe('succeeded');
    expect((await ended(await ask('DELETE', `/v1/vms/${vm}/snapshots`))).outcome).toBe('succeeded');
    expect(digest(clone)).toBe(read);
  });
});
