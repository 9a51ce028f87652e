/*
 * QEMU stands still, hangs for good or has no room, and so does the store, in the middle of a request: what is told
 * meanwhile, and what has become of it afterwards? `npm run hung` and `npm run cut` are the long forms.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { breaches } from '../chaos/verdict.ts';
import { type ChaosKind, KINDS } from '../chaos/kinds.ts';
import { DaemonProcess } from '../crash/daemon-process.ts';
import { cleanUp, makeDirectory, needsQemu } from '../qemu/rig.ts';
import { SmallDisk } from '../qemu/small-disk.ts';
import { type Cause, full, hung, stopped } from './causes.ts';
import { copies } from './chapters.ts';
import { cut, cutsOf, lengthOf, wiredIn, wrongAtLast } from './cuts.ts';
import { endure, RECOVERED_WITHIN_MS } from './ordeal.ts';
import { closeScene, openScene, type Scene } from './scene.ts';
import { outlast } from './slow-merge.ts';
import { canBeReadOnly, rootOn, storeFull, storeLocked, storeReadOnly } from './store-causes.ts';

/** How long a trouble lasts, at least. */
const LASTS_MS = 600;

const hasQemu = needsQemu();
const imagesDisk = hasQemu ? SmallDisk.mount(64) : null;
const dataDisk = hasQemu ? SmallDisk.mount(16) : null;

afterAll(async () => {
  await cleanUp();
  imagesDisk?.unmount();
  dataDisk?.unmount();
});

function kindOf(name: string): ChaosKind {
  const kind = KINDS.find((one) => one.name === name);
  if (!kind) throw new Error(`there is no ${name} among the kinds of request`);
  return kind;
}

async function expectUnharmed(scene: Scene, cause: Cause, kind: ChaosKind, point: string): Promise<void> {
  const ordeal = await endure(scene, { kind, cause, place: { point, nth: 1 }, lastsMs: LASTS_MS });
  expect(ordeal.wrong, `${ordeal.at}, ${ordeal.ended}`).toEqual([]);
  expect(ordeal.at).toContain(point);
  const { ended, recoveredMs, neighbourTimes } = ordeal;
  const beside = neighbourTimes === null ? '' : `, its neighbour ${neighbourTimes.toFixed(1)} times as slow`;
  console.info(
    `${cause.name} at ${point}: ${ended}, ${recoveredMs.toFixed(0)} of ${RECOVERED_WITHIN_MS} ms${beside}`,
  );
}

describe.runIf(hasQemu)('a machine', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene({ canBreak: true });
  });
  afterAll(() => closeScene(scene));

  test('whose merge outlives its timeout is not believed to be done, and is when it is', async () => {
    expect((await outlast(scene)).wrong).toEqual([]);
  });

  test.each([
    ['create inside, 2 disks', 'say.before-transaction'],
    ['load of memory, 2 disks', 'say.before-snapshot-load'],
    ['merge outside, 2 disks', 'say.after-block-commit'],
  ])('that stands still in a %s holds nobody up, and goes on', async (name, point) => {
    await expectUnharmed(scene, stopped, kindOf(name), point);
  });

  test('that hangs until somebody kills it holds nobody up either', async () => {
    await expectUnharmed(scene, hung, kindOf('create inside, 2 disks'), 'hypervisor.after-begin');
  });

  test('is served again when the log is no longer locked', async () => {
    await expectUnharmed(scene, storeLocked(), kindOf('create inside, 2 disks'), 'say.after-transaction');
  });

  test('is served again when the log can be written again', async (context) => {
    if (!canBeReadOnly()) return context.skip();
    await expectUnharmed(scene, storeReadOnly, kindOf('create inside, 2 disks'), 'hypervisor.before-begin');
  });
});

describe.runIf(dataDisk)('a log without room', () => {
  test.each(['say.after-transaction', 'hypervisor.before-begin'])(
    'at %s acknowledges nothing that it does not keep, and goes on when there is some',
    async (point) => {
      if (!dataDisk) return;
      const scene = await openScene({ root: rootOn(dataDisk) });
      await expectUnharmed(scene, storeFull(dataDisk), kindOf('create inside, 2 disks'), point);
      await closeScene(scene);
    },
  );
});

describe.runIf(imagesDisk)('images without room', () => {
  test('keep no part of what there is no room for', { timeout: 120_000 }, async () => {
    if (!imagesDisk) return;
    const scene = await openScene({ images: imagesDisk.directory });
    const cause = full(imagesDisk);
    await expectUnharmed(scene, cause, kindOf('create outside, 2 disks'), 'files.before-fill');
    await expectUnharmed(
      scene,
      cause,
      kindOf('create outside, memory in a file, 2 disks'),
      'say.before-snapshot-save',
    );
    await expectUnharmed(scene, cause, copies(imagesDisk.directory), 'say.before-transaction');
    await closeScene(scene);
  });
});

/** Of these `npm run cut` breaks after each. */
const STRIDE_BYTES = 250;
const MACHINES = 4;

describe.runIf(hasQemu)('a connection to QEMU', () => {
  test('that breaks anywhere in a create leaves it done or undone', { timeout: 120_000 }, async () => {
    const root = makeDirectory();
    const daemon = await DaemonProcess.start(root);
    const machines = await Promise.all(
      Array.from({ length: MACHINES }, (_, index) => {
        mkdirSync(join(root, `m${index}`));
        return wiredIn(join(root, `m${index}`), daemon, `m${index}`);
      }),
    );
    const [first] = machines;
    if (!first) throw new Error('there is no machine');
    const cuts = cutsOf(await lengthOf(first, daemon), STRIDE_BYTES);
    expect(cuts.length).toBeGreaterThan(15);
    await Promise.all(
      machines.map(async (machine) => {
        for (let next = cuts.pop(); next; next = cuts.pop()) {
          const { direction, bytes, ended, wrong } = await cut(machine, daemon, next);
          expect(wrong, `${direction}, ${bytes} bytes: ${ended}`).toEqual([]);
        }
        expect(await wrongAtLast(machine, daemon)).toEqual([]);
        machine.wire.close();
      }),
    );
    expect(await breaches(daemon.directory)).toEqual([]);
    await daemon.kill();
  });
});
