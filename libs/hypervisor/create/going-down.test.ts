import { beforeEach, describe, expect, test } from 'vitest';
import { MonitorTrouble } from '#qmp';
import { type FileStat, FileTrouble } from '#world';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import type { Sight } from '../look/sight.ts';
import { monitorSocket, NO_SOCKET } from '../look/monitor-socket.ts';
import { NotNow } from '../not-now.ts';
import { goesDown, heedStarted, markGoingDown, notePushEnded, unmarkGoingDown } from './going-down.ts';
import { timesOf, whyRewritten } from './written-below.ts';

const BASE = '/i/a.qcow2';
const OVERLAY = '/i/sl-s-1.qcow2';
const SIGN = '/i/sl-s-going-down';
const MONITOR = '/run/m.sock';

const start = {
  snapshotId: 's',
  overlays: [{ device: 'a', file: OVERLAY, format: 'qcow2', backing: BASE, node: 'n', by: 'create' }],
} as unknown as Start;

const other = { file: '/i/sl-s-2.qcow2', backing: '/i/b.qcow2' };
const both = {
  ...start,
  overlays: [{}, other].map((files) => ({ ...start.overlays?.[0], ...files, backingModifiedAt: 500 })),
} as Start;
const FILES = [BASE, OVERLAY, other.file, other.backing];

const off = { power: 'off', disks: [] } as unknown as Sight;
const onBelow = { power: 'running', disks: [{ device: 'a', file: BASE }] } as unknown as Sight;

const heed = async (errand: Errand) =>
  heedStarted(errand, start, { sight: off, socket: await monitorSocket(errand.place) });

const heedOn = (errand: Errand) => heedStarted(errand, start, { sight: onBelow, socket: NO_SOCKET });

const mark = async (errand: Errand) => markGoingDown(errand, start, await monitorSocket(errand.place));

describe('what is written below overlays that go down', () => {
  let texts: Map<string, string>;
  let times: Map<string, number>;
  let isBroken: boolean;
  let isStuck: boolean;
  let makeFailures: number;
  let synced: string[];

  beforeEach(() => {
    texts = new Map([...FILES, MONITOR].map((file) => [file, 'an image']));
    times = new Map([...FILES, MONITOR, SIGN].map((file) => [file, 1_000.25]));
    isBroken = false;
    isStuck = false;
    makeFailures = 0;
    synced = [];
  });

  const statOf = (file: string): Partial<FileStat> | null => {
    const text = texts.get(file);
    if (text === undefined) return null;
    return { kind: 'file', identity: '1:1', sizeBytes: text.length, modifiedAt: times.get(file) ?? 0 };
  };

  const files = {
    stat: async (file: string) => statOf(file),
    start: async (file: string) => Buffer.from(texts.get(file) ?? ''),
    makeNew: async (file: string) => {
      if (makeFailures > 0) {
        makeFailures -= 1;
        throw new FileTrouble('EIO', file, 'not this time');
      }
      return texts.has(file) || texts.set(file, '').size > 0;
    },
    fill: async (file: string, bytes: Uint8Array) => {
      if (isBroken) throw new FileTrouble('EIO', file, 'the disk is broken');
      texts.set(file, Buffer.from(bytes).toString());
    },
    unlink: async (file: string) => texts.delete(file),
    syncFile: async (file: string) => {
      if (isStuck) throw new FileTrouble('EIO', file, 'it cannot be synced');
      synced.push(file);
    },
    syncDirectory: async () => undefined,
  };

  /** As a process begins, which remembers nothing, where QEMU is gone. */
  const someone = (): Errand =>
    ({
      operationId: 'o',
      place: {
        world: { files },
        monitor: MONITOR,
        images: { isEmpty: async () => false },
        line: { reach: () => Promise.reject(new MonitorTrouble('off', 'nobody listens')) },
      },
      memory: { pushed: new Map() },
      transcript: { flush: async () => undefined },
    }) as unknown as Errand;

  /** Somebody starts the machine, where it finds the same inode for its socket. */
  const startAnew = (): void => void times.set(MONITOR, (times.get(MONITOR) ?? 0) + 1_000);

  /** One process pushes, and finds QEMU gone in the middle. */
  async function pushHalf(errand: Errand): Promise<void> {
    await mark(errand);
    times.set(BASE, 2_000.5);
    await notePushEnded(errand, start);
  }

  test('is seen by the next process to be somebody else’s, once QEMU was found gone', async () => {
    await pushHalf(someone());
    times.set(BASE, 3_000);
    const why = await heed(someone());
    expect(why?.words).toContain(`${BASE} was written after what is in its overlays had begun to go down`);
    times = new Map([...times].map(([file]) => [file, 1_000])); // Somebody puts the clock back.
    expect(await heed(someone())).not.toBeNull();
  });

  test('is ours as long as nobody has written there since', async () => {
    await pushHalf(someone());
    const next = someone();
    expect(await heed(next)).toBeNull();
    expect(await goesDown(next, start)).toBe(true);
  });

  test('is ours also where the sign could only be made when that was tried again', async () => {
    makeFailures = 2;
    await mark(someone());
    expect(await goesDown(someone(), start)).toBe(true);
  });

  test('is ours while another push is under way', async () => {
    await pushHalf(someone());
    await mark(someone());
    times.set(BASE, 3_000);
    expect(await heed(someone())).toBeNull();
  });

  test('is ours where the sign was being written when its writer died', async () => {
    await pushHalf(someone());
    texts.set(SIGN, texts.get(SIGN)?.slice(0, -3) ?? '');
    times.set(BASE, 3_000);
    expect(await heed(someone())).toBeNull();
  });

  test('is somebody else’s where there was no room for what the sign was to say, and the machine was started anew', async () => {
    isBroken = true;
    await mark(someone());
    startAnew();
    expect(await heed(someone())).not.toBeNull();
  });

  test('is on disk before the sign says when that was', async () => {
    await pushHalf(someone());
    expect(synced).toEqual([SIGN, BASE, SIGN]);
  });

  test('is somebody else’s also below an image that cannot be synced', async () => {
    isStuck = true;
    await pushHalf(someone());
    times.set(BASE, 3_000);
    expect(await heed(someone())).not.toBeNull();
  });

  test('is remembered by the process that pushed, also where nothing can be written', async () => {
    const errand = someone();
    await mark(errand);
    isBroken = true;
    await notePushEnded(errand, start);
    times.set(BASE, 3_000);
    expect(await heed(errand)).not.toBeNull();
  });

  test('is seen to be somebody else’s although nobody saw the end of the push, where the machine was started anew', async () => {
    await mark(someone());
    times.set(BASE, 3_000);
    startAnew();
    const why = await heed(someone());
    expect(why?.words).toContain(
      'the machine was started after what is in its overlays had begun to go down',
    );
    times = new Map([...times].map(([file]) => [file, 1_000])); // Somebody puts the clock back.
    expect(await heed(someone())).not.toBeNull();
  });

  test('is not called ours by who finds QEMU gone after the machine was started anew', async () => {
    const errand = someone();
    await mark(errand);
    times.set(BASE, 3_000);
    startAnew();
    await notePushEnded(errand, start);
    for (const one of [someone(), errand]) expect(await heed(one)).not.toBeNull();
  });

  test('keeps other overlays from going down, also below one that has gone down', async () => {
    const errand = someone();
    await markGoingDown(errand, both, await monitorSocket(errand.place));
    texts.delete(OVERLAY);
    await notePushEnded(errand, both);
    times.set(BASE, 3_000);
    const looked = { sight: off, socket: await monitorSocket(errand.place) };
    expect(await heedStarted(someone(), both, looked)).not.toBeNull();
  });

  test('is nothing where a machine that was started anew has written nothing', async () => {
    await pushHalf(someone());
    startAnew();
    expect(await heed(someone())).toBeNull();
  });

  test('is ours where QEMU has ended in good order, and took its socket away', async () => {
    await mark(someone());
    times.set(BASE, 3_000);
    texts.delete(MONITOR);
    expect(await heed(someone())).toBeNull();
  });

  test.each([
    { how: 'had died', socketsBefore: [MONITOR] },
    { how: 'was off', socketsBefore: [] },
  ])(
    'is somebody else’s where it $how and was started, although no socket outlives the host',
    async (before) => {
      texts = new Map([...FILES, ...before.socketsBefore].map((file) => [file, 'an image']));
      await mark(someone());
      startAnew();
      texts.set(MONITOR, '');
      await notePushEnded(someone(), start);
      times.set(BASE, 3_000);
      texts.delete(MONITOR);
      expect(await heed(someone())).not.toBeNull();
    },
  );

  test('is ours where who comes next finds QEMU gone before anybody has started it', async () => {
    await mark(someone());
    times.set(BASE, 3_000);
    await notePushEnded(someone(), start);
    startAnew();
    expect(await heed(someone())).toBeNull();
    times.set(BASE, 4_000);
    expect(await heed(someone())).not.toBeNull();
  });

  test('waits where the machine was started since it was looked at', async () => {
    const errand = someone();
    const socket = await monitorSocket(errand.place);
    startAnew();
    await expect(markGoingDown(errand, start, socket)).rejects.toBeInstanceOf(NotNow);
    expect(await goesDown(errand, start)).toBe(false);
  });

  test.each([
    ['looks', heed],
    ['finds QEMU gone', (errand: Errand) => notePushEnded(errand, start)],
  ])('is told to nobody by a sign that who %s cannot write', async (_, find) => {
    await mark(someone());
    startAnew();
    isBroken = true;
    await find(someone());
    expect(texts.has(SIGN)).toBe(false);
  });

  test('is told by a sign that stays as long as an overlay does', async () => {
    const errand = someone();
    await pushHalf(errand);
    times.set(BASE, 3_000);
    await heed(errand);
    expect(await unmarkGoingDown(errand, start, [])).toMatchObject([{ file: SIGN }]);
    texts.delete(OVERLAY);
    expect(await unmarkGoingDown(errand, start, [])).toEqual([]);
    expect(texts.has(SIGN)).toBe(false);
  });

  test('waits where the sign would call it somebody else’s', async () => {
    const errand = someone();
    await pushHalf(errand);
    isBroken = true;
    await expect(mark(errand)).rejects.toBeInstanceOf(NotNow);
    times.set(BASE, 3_000);
    expect(await heed(errand)).not.toBeNull();
  });

  test.each([
    { whose: 'ours', by: 'the QEMU that we pushed with has left the overlay by itself', isAnew: false },
    { whose: 'somebody else’s', by: 'the machine was started there', isAnew: true },
  ])('is $whose where $by, and the host goes down then', async ({ isAnew }) => {
    await mark(someone());
    if (isAnew) startAnew();
    expect(await heedOn(someone())).toBeNull();
    texts.delete(MONITOR);
    expect((await heed(someone())) !== null).toBe(isAnew);
  });

  test('is seen also below an overlay that was empty, and that somebody has removed who died then', async () => {
    expect(await whyRewritten(someone(), both, await timesOf(someone(), both))).toBeNull();
    texts.delete(OVERLAY);
    times.set(BASE, 3_000);
    const why = await whyRewritten(someone(), both, await timesOf(someone(), both));
    expect(why?.words).toContain(`${BASE} was written after the machine had gone on in overlays of it`);
  });
});
