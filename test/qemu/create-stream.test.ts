/* Does memory that is saved as a stream come whole, or not at all, and does the guest always go on? */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openHypervisor } from '#hypervisor';
import { realWorld, type World } from '#world';
import { settledWorld } from './haste.ts';
import { house, type House } from './house.ts';
import { writeAll } from './patterns.ts';
import { cleanUp, needsQemu } from './rig.ts';

afterAll(cleanUp);

type Wish = NonNullable<Parameters<House['book']['create']>[0]>;

const STREAM = { memory: 'external', memoryFormat: 'stream' } as const;
const external = (device: string) => ({ device, mode: 'external' as const });
const internal = (device: string) => ({ device, mode: 'internal' as const });
const none = (device: string) => ({ device, mode: 'none' as const });

const stateOf = async ({ vm }: House): Promise<string> =>
  ((await vm.monitor.execute('query-status')) as { status: string }).status;

const limitOf = async ({ vm }: House): Promise<number> =>
  ((await vm.monitor.execute('query-migrate-parameters')) as { 'max-bandwidth': number })['max-bandwidth'];

/** Files of ours beside the disks, and sockets. */
const ours = ({ dir }: House): string[] => [
  ...readdirSync(dir).filter((name) => name.startsWith('sl-')),
  ...(existsSync(join(dir, 'sockets')) ? readdirSync(join(dir, 'sockets')) : []),
];

/** More than anybody asks who does not wait for it. */
const TOO_SOON = 7;

/** A QEMU that has sent all of the memory, and for so many questions more is not done with the migration. */
const finishing = (real: World): World => ({
  ...real,
  connect: async (path) => {
    const connection = await real.connect(path);
    let left = TOO_SOON;
    return {
      ...connection,
      write: (data) => connection.write(left > 0 ? String(data).replace('"cont"', '"cont, too soon"') : data),
      onText: (listener) =>
        connection.onText((text) => {
          const isAbout = left > 0 && text.includes('"postmigrate"');
          if (isAbout) left -= 1;
          listener(isAbout ? text.replace('"postmigrate"', '"finish-migrate"') : text);
        }),
    };
  },
});

describe.runIf(needsQemu())('memory as a stream', () => {
  test.each<[string, Wish]>([
    ['internal', { disks: [internal('dev-da'), internal('dev-db')] }],
    ['external', { disks: [external('dev-da'), external('dev-db')] }],
    ['one of each kind', { disks: [internal('dev-da'), external('dev-db')] }],
    ['no', { disks: [none('dev-da'), none('dev-db')] }],
  ])('is kept beside %s disks, measured, and the guest goes on', async (_, wish) => {
    const home = await house();
    const limit = await limitOf(home);
    const { snapshotId, end, report } = await home.book.create({ ...STREAM, ...wish });
    expect(end, JSON.stringify(report)).toBe('created');
    const { memory } = home.book.snapshot(snapshotId);
    const bytes = readFileSync(memory.file ?? '');
    expect(memory).toMatchObject({
      ...{ mode: 'external', format: 'stream', sizeBytes: bytes.length },
      ...{ sha256: createHash('sha256').update(bytes).digest('hex'), config: { facts: { cpus: 1 } } },
    });
    expect(bytes.length).toBeGreaterThan(100_000);
    expect(bytes.subarray(0, 4).toString(), 'as QEMU begins a stream').toBe('QEVM');
    expect(await stateOf(home)).toBe('running');
    expect(await limitOf(home), 'what the operator allows').toBe(limit);
    expect(ours(home).filter((name) => name.includes('memory') || name.endsWith('.sock'))).toEqual([
      `sl-${snapshotId}-memory`,
    ]);
    expect(statSync(join(home.dir, 'sockets')).mode & 0o777).toBe(0o700);
    await writeAll(home, 0x22);
    expect((await home.book.create({ diskOnly: true })).end, 'the images are its own again').toBe('created');
  });

  test('goes where the caller says, and over nothing that lies there', async () => {
    const home = await house({ letters: 'a' });
    const file = join(home.dir, 'mine.mem');
    writeFileSync(`${file}.part`, 'precious');
    expect((await home.book.create({ ...STREAM, memoryFile: file })).end).toBe('created');
    expect(existsSync(file)).toBe(true);
    expect(readFileSync(`${file}.part`, 'utf8')).toBe('precious');
    const refused = await home.book.create({ ...STREAM, memoryFile: `${file}.part` });
    expect(refused.end).toBe('undone: path-not-allowed');
    expect(readFileSync(`${file}.part`, 'utf8')).toBe('precious');
  });

  test('of a machine that stands still is refused, and it stands still as before', async () => {
    const home = await house({ letters: 'a' });
    await home.vm.monitor.execute('stop');
    const { end, report } = await home.book.create(STREAM);
    expect(end).toBe('undone: unsupported');
    expect(JSON.stringify(report)).toContain('save it as a state file');
    expect(await stateOf(home)).toBe('paused');
  });

  test('that nobody can receive is no capture, and the guest runs', async () => {
    const home = await house({ letters: 'a' });
    writeFileSync(join(home.dir, 'sockets'), 'no directory');
    expect((await home.book.create({ ...STREAM, disks: [external('dev-da')] })).end).toMatch(/^undone: /);
    expect(await stateOf(home)).toBe('running');
    expect(readdirSync(home.dir).filter((name) => name.startsWith('sl-'))).toEqual([]);
  });

  // QEMU's migration thread may be kept waiting there; then `cont` is refused: "Migration is not finalized yet".
  test('is kept though QEMU says that all is sent before it lets the machine run', async () => {
    const home = await house({ letters: 'a', world: finishing });
    const { end, report } = await home.book.create({ ...STREAM, disks: [external('dev-da')] });
    expect(end, JSON.stringify(report)).toBe('created');
    expect(await stateOf(home)).toBe('running');
  });

  test('leaves no guest standing when the next worker comes before QEMU lets it run', async () => {
    const steps: string[] = [];
    const { promise: dead, resolve: die } = Promise.withResolvers<void>();
    const home = await house({
      letters: 'a',
      fault: (point) => {
        steps.push(point);
        const isTold = steps.filter((step) => step === 'hypervisor.before-power').length === 2; // To run again.
        return isTold ? new Promise(() => die()) : Promise.resolve();
      },
    });
    home.book.ask({ ...STREAM, disks: [external('dev-da')] });
    void home.book.work();
    await dead;
    expect(await stateOf(home)).toBe('postmigrate');
    await home.hypervisor.close();
    home.succeed(
      openHypervisor({
        ...{ world: finishing(realWorld()), monitorRoots: [home.dir], imageRoots: [home.dir], worker: 'w2' },
        ...{ transcriptsDir: join(home.dir, 'transcripts'), socketsDir: join(home.dir, 'sockets') },
      }),
    );
    const { end } = await home.finish();
    expect(end).toMatch(/^undone: /);
    expect(await stateOf(home)).toBe('running');
  });

  test('that breaks off is no capture: all is as before, and the guest runs', async () => {
    const home = await house({
      world: (real) => ({
        ...real,
        streams: {
          ...real.streams,
          receive: (path, file) => real.streams.receive(path, file, { sizeBytesMax: 50_000 }), // As if it were full.
        },
      }),
    });
    const { end, report } = await home.book.create({
      ...STREAM,
      disks: [internal('dev-da'), external('dev-db')],
    });
    expect(end, JSON.stringify(report)).toBe('undone: refused-by-qemu');
    expect(JSON.stringify(report)).toContain('more than 50000 bytes');
    expect(await stateOf(home)).toBe('running');
    expect(home.tags()).toEqual(home.tagsOf());
    expect(ours(home).filter((name) => name.includes('memory'))).toEqual([]);
    expect((await home.book.create()).end).toBe('created');
  });

  test('of a machine with a device that cannot migrate is refused in QEMU’s words', async () => {
    const extraArgs = ['-blockdev', 'driver=null-co,node-name=n,read-zeroes=on'];
    const home = await house({
      letters: 'a',
      extraArgs: [...extraArgs, '-device', 'nvme,drive=n,id=dev-n,serial=1'],
    });
    const { end } = await home.book.create({ ...STREAM, disks: [internal('dev-da'), none('dev-n')] });
    expect(end).toBe('undone: unsupported');
    expect(await stateOf(home)).toBe('running');
  });

  test('of a migration that somebody cancels is no capture', async () => {
    const home = await house({ letters: 'a' });
    mkdirSync(join(home.dir, 'sockets'));
    const work = home.book.create({ ...STREAM, disks: [external('dev-da')] });
    const ended = work.then(() => true);
    const cancelled = (): Promise<boolean> => home.vm.monitor.execute('migrate_cancel').then(() => false);
    while (!(await Promise.race([ended, cancelled()])));
    expect((await work).end).toMatch(/^(created|undone: (canceled|refused-by-qemu))$/); // It may have been quick.
    expect(await stateOf(home)).toBe('running');
  });

  test('of a QEMU that dies in the middle is no capture', async () => {
    const home = await house({
      letters: 'a',
      world: () =>
        settledWorld(async (point) => {
          if (point === 'hypervisor.after-power' && armed) {
            armed = false;
            await home.vm.kill();
          }
        }),
    });
    let armed = true;
    home.book.ask({ ...STREAM, disks: [external('dev-da')] });
    expect((await home.finish()).end).toBe('undone: machine-gone');
    expect(ours(home)).toEqual([]);
  });
});
