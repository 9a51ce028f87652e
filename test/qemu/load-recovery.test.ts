/* Whoever dies inside a load of any kind: does the next worker bring all of it to its end? */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Hypervisor, NotNow, openHypervisor } from '#hypervisor';
import { orphansIn, pinsOf } from '#ledger';
import { v7 } from 'uuid';
import { afterAll, describe, expect, test } from 'vitest';
import { type Notebook, type Outcome, outcomeOf } from '../hypervisor/notebook.ts';
import { Death } from './death.ts';
import { house, type House } from './house.ts';
import { contents, writeAll } from './patterns.ts';
import { cleanUp, needsQemu, type RigDisk } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

interface Subject {
  readonly home: House;
  readonly death: Death;
  book: Notebook;
  hypervisor: Hypervisor;
}

async function subject(letters = 'ab'): Promise<Subject> {
  const death = new Death();
  const home = await house({ letters, world: () => death.world() });
  return { home, death, book: home.book, hypervisor: home.hypervisor };
}

/** The next worker; the one before it hears and says nothing any more. */
async function succeed(subject: Subject): Promise<void> {
  const { home, death } = subject;
  await subject.hypervisor.close();
  const world = death.world();
  await death.childless();
  death.disarm();
  subject.hypervisor = openHypervisor({
    world,
    monitorRoots: [home.dir],
    imageRoots: [home.dir],
    worker: 'w2',
    transcriptsDir: join(home.dir, 'transcripts'),
  });
  subject.book = subject.book.heir(subject.hypervisor);
}

const ATTEMPTS_MAX = 60;

async function finish({ book }: Subject): Promise<Omit<Outcome, 'snapshotId'>> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    try {
      return outcomeOf(await book.work());
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      await setTimeout(Math.min(100, error.afterMs));
    }
  }
  throw new Error('the operation has not ended');
}

/** What the ledger says the disks stand on is what QEMU has under them, and nothing of ours lies about untold. */
async function expectAgreement({ home, book }: Subject, where: string): Promise<void> {
  const blocks = (await home.vm.monitor.execute('query-block')) as { inserted: { file: string } }[];
  expect(
    blocks.map(({ inserted }) => inserted.file),
    where,
  ).toEqual(book.vm.disks.map(({ file }) => file));
  expect(book.vm.hold, where).toBeNull();
  const nodes = (await home.vm.monitor.execute('query-named-block-nodes', { flat: true })) as {
    'node-name': string;
  }[];
  expect(
    nodes.filter((node) => /-p\d+$/.test(node['node-name'])),
    where,
  ).toEqual([]);
  const known = new Set([
    ...book.vm.layers.keys(),
    ...[...book.vm.snapshots.values()].flatMap(({ memory }) => memory.file ?? []),
  ]);
  const told = orphansIn(book.vm).map(({ file }) => file);
  const images = readdirSync(home.dir).filter((name) => name.endsWith('.qcow2'));
  expect(
    images.map((name) => join(home.dir, name)).filter((file) => !known.has(file) && !told.includes(file)),
    where,
  ).toEqual([]);
  for (const file of known) expect(existsSync(file), `${where}: ${file}`).toBe(true);
}

const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const bothExternal = [external('dev-da'), external('dev-db')];

const KINDS: { name: string; wish: Wish; isBuried?: boolean; pin?: 'disks' | 'memory' }[] = [
  { name: 'external disks', wish: { memory: 'none', disks: bothExternal } },
  { name: 'external disks with a pin', wish: { memory: 'none', disks: bothExternal }, pin: 'memory' },
  { name: 'disks without memory', wish: { diskOnly: true } },
  { name: 'memory beside one disk of each kind', wish: { disks: [internal('dev-da'), external('dev-db')] } },
  { name: 'memory buried in a disk', wish: {}, isBuried: true },
  { name: 'memory and disks, with a pin', wish: {}, pin: 'disks' },
];

/** Every disk holds 0x11 in the snapshot. */
async function prepared({ wish, isBuried = false }: (typeof KINDS)[number]): Promise<[Subject, string]> {
  const one = await subject();
  await writeAll(one.home, 0x11);
  const { snapshotId, end, report } = await one.book.create(wish);
  expect(end, JSON.stringify(report)).toBe('created');
  if (isBuried) expect((await one.book.create({ memory: 'none', disks: bothExternal })).end).toBe('created');
  return [one, snapshotId];
}

function askLoad({ book }: Subject, snapshotId: string, what: 'disks' | 'memory' | undefined): void {
  book.askLoad(snapshotId, what && { pin: { snapshotId: v7(), what } });
}

/** What the load has left is saved, once, and comes back. */
async function expectPinned(one: Subject, where: string): Promise<void> {
  const [pin] = pinsOf(one.book.vm).slice(-1);
  askLoad(one, pin?.id ?? '', undefined);
  expect((await finish(one)).end, where).toBe('loaded');
  expect(await contents(one.home), where).toBe('22 22');
}

/** How many points a load passes when nobody dies, and how many of them before it has begun. */
async function rehearse(
  one: Subject,
  snapshotId: string,
  pin: 'disks' | 'memory' | undefined,
): Promise<{ count: number; begun: number }> {
  for (let n = 0; n < 2; n += 1) {
    await writeAll(one.home, 0x22);
    one.death.disarm();
    askLoad(one, snapshotId, pin);
    expect((await finish(one)).end).toBe('loaded');
  }
  const { passed } = one.death;
  return { count: passed.length, begun: passed.indexOf('hypervisor.after-begin') };
}

/** The disks as the ledger says that the machine is to be started. */
const presentDisks = ({ home, book }: Subject): RigDisk[] =>
  home.disks.map(({ node }, at) => ({ node, file: book.vm.disks[at]?.file ?? '', format: 'qcow2' }));

/** A file that the load has left is gone a moment before the ledger names the next one. */
async function bootAsTold(one: Subject): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const disks = presentDisks(one);
    if (disks.every(({ file }) => existsSync(file)) && (await one.home.bootUnlessLocked({ disks }))) return;
    await setTimeout(100);
  }
  throw new Error('the ledger names a file that is not there, or never lets go of it');
}

/** What was loaded without memory while the machine was off is there when it is started as the ledger says. */
async function reboot(one: Subject): Promise<void> {
  const blocks = (await one.home.vm.monitor.execute('query-block')) as { inserted: { file: string } }[];
  const isPresent = one.book.vm.disks.every(({ file }, at) => blocks[at]?.inserted.file === file);
  if (isPresent) return;
  await one.home.vm.stop();
  await one.home.boot({ disks: presentDisks(one) });
}

/** About how long a load takes. */
const LOAD_MS = 150;
const DEATHS_EACH = Number(process.env['LOAD_DEATHS'] ?? 1);
const STRIDE = Number(process.env['LOAD_STRIDE'] ?? 8);

describe.runIf(needsQemu())('a load', () => {
  test.each(KINDS)(
    'of $name is brought to its end, wherever the worker dies',
    { timeout: 300_000 },
    async (kind) => {
      const [one, snapshotId] = await prepared(kind);
      const { count } = await rehearse(one, snapshotId, kind.pin);
      for (let at = 1 + Math.floor(Math.random() * STRIDE); at <= count; at += STRIDE) {
        await writeAll(one.home, 0x22);
        askLoad(one, snapshotId, kind.pin);
        const dead = one.death.arm(at).then(() => true);
        const hasDied = await Promise.race([dead, finish(one).then(() => false)]);
        if (!hasDied) break; // This time it passed fewer points.
        const where = `at ${at} of ${count}, ${one.death.passed.at(-1)}`;
        await succeed(one);
        const { end, report } = await finish(one);
        expect(end, `${where}: ${JSON.stringify(report)}`).toBe('loaded');
        expect(report, where).toMatchObject({ loaded: { runs: true } });
        expect(await contents(one.home), where).toBe('11 11');
        await expectAgreement(one, where);
        if (kind.pin) await expectPinned(one, where);
      }
    },
  );

  test.each(KINDS)(
    'of $name is brought to its end when QEMU dies as well and is started anew from the files of the ledger',
    { timeout: 300_000 },
    async (kind) => {
      const [one, snapshotId] = await prepared(kind);
      const { count, begun } = await rehearse(one, snapshotId, kind.pin);
      for (let death = 0; death < DEATHS_EACH; death += 1) {
        await writeAll(one.home, 0x22);
        askLoad(one, snapshotId, kind.pin);
        const at = 1 + begun + Math.floor(Math.random() * (count - begun));
        const dead = one.death.arm(at).then(() => true);
        if (!(await Promise.race([dead, finish(one).then(() => false)]))) continue;
        const where = `at ${at} of ${count}, ${one.death.passed.at(-1)}`;
        await one.home.vm.kill();
        await succeed(one);
        const working = finish(one);
        await setTimeout(Math.random() * 5_000);
        await bootAsTold(one);
        const { end, report } = await working;
        expect(end, `${where}: ${JSON.stringify(report)}`).toBe('loaded');
        await reboot(one);
        expect(await contents(one.home), where).toBe('11 11');
        await expectAgreement(one, where);
      }
    },
  );

  test.each(KINDS)(
    'of $name is brought to its end when QEMU dies at any moment and is started anew',
    { timeout: 300_000 },
    async (kind) => {
      const [one, snapshotId] = await prepared(kind);
      for (let death = 0; death < DEATHS_EACH; death += 1) {
        await writeAll(one.home, 0x22);
        askLoad(one, snapshotId, kind.pin);
        const begun = one.book.events.length;
        const working = finish(one);
        while (one.book.events.length === begun) await setTimeout(1);
        await setTimeout(Math.random() * LOAD_MS);
        await one.home.vm.kill();
        await setTimeout(Math.random() * 5_000);
        await bootAsTold(one);
        const { end, report } = await working;
        expect(end, JSON.stringify(report)).toBe('loaded');
        await reboot(one);
        expect(await contents(one.home)).toBe('11 11');
        await expectAgreement(one, 'after a random death');
      }
    },
  );
});
