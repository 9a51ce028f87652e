/*
 * The worker dies at every fault point in turn, with and without QEMU. Whoever comes next ends the operation exactly
 * once, and then disks and ledger agree: every snapshot is on all of its disks, and nothing else of ours is on any.
 */
import { FAULT_POINTS, NotNow } from '#hypervisor';
import { type Report, snapshotOfTag, tagOf } from '#ledger';
import { expect, test } from 'vitest';
import { outcomeOf } from './notebook.ts';
import { running, type Stage } from './stage.ts';

/** A crash that leaves the machine alone, one that takes it along, and one after which somebody starts it anew. */
const FATES = ['the worker dies', 'the worker and QEMU die', 'both die and QEMU is started anew'] as const;
type Fate = (typeof FATES)[number];

interface Errand {
  readonly name: string;
  readonly isOn: boolean;
  /** Opens the operation that is cut short. */
  open(stage: Stage, snapshots: { disks: string; memory: string }): void;
}

const ids = { operationId: '01a1fe18-2458-7065-ae02-7e09d6935f3f' };
const load = (snapshotId: string) => ({ type: 'LoadSnapshot', snapshotId, ...ids }) as const;
const remove = (snapshotId: string) =>
  ({ type: 'DeleteSnapshot', strategy: 'merge', snapshotId, ...ids }) as const;

const ERRANDS: readonly Errand[] = [
  { name: 'a create of disks', isOn: true, open: ({ book }) => void book.ask({ diskOnly: true }) },
  { name: 'a create with memory', isOn: true, open: ({ book }) => void book.ask() },
  { name: 'a create of images', isOn: false, open: ({ book }) => void book.ask() },
  { name: 'a load with memory', isOn: true, open: ({ book }, { memory }) => book.handle(load(memory)) },
  { name: 'a load of images', isOn: false, open: ({ book }, { disks }) => book.handle(load(disks)) },
  { name: 'a delete', isOn: true, open: ({ book }, { memory }) => book.handle(remove(memory)) },
  { name: 'a delete from images', isOn: false, open: ({ book }, { memory }) => book.handle(remove(memory)) },
];

/** More attempts than any recovery here needs. */
const ATTEMPTS_MAX = 5;

async function prepared({ isOn, open }: Errand): Promise<Stage> {
  const stage = await running();
  const { snapshotId: disks } = await stage.book.create({ diskOnly: true });
  const { snapshotId: memory } = await stage.book.create();
  stage.host.image('a').content = 'later';
  stage.host.image('b').content = 'later';
  if (!isOn) stage.host.die();
  open(stage, { disks, memory });
  return stage;
}

/** Runs the operation and lets the worker die at the n-th fault point; the point, or null when it got through. */
function dieAt({ host, book }: Stage, n: number): Promise<string | null> {
  const { promise: death, resolve: die } = Promise.withResolvers<string>();
  let passedCount = 0;
  host.fault = (name) => {
    passedCount += 1;
    if (passedCount < n) return Promise.resolve();
    die(name);
    return new Promise(() => undefined); // Whatever else it had under way dies with it.
  };
  return Promise.race([death, book.work().then(() => null)]);
}

async function succeedTo(stage: Stage, fate: Fate, isOn: boolean): Promise<Report> {
  await stage.hypervisor.close(); // The kernel closes a dead process's sockets.
  if (fate !== 'the worker dies' && isOn) stage.host.die();
  if (fate === 'both die and QEMU is started anew' && isOn) stage.host.boot();
  stage.succeed();
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    try {
      return await stage.book.work();
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      if (error.reason === 'machine-gone') stage.host.boot(); // A load waits for its machine.
    }
  }
  throw new Error(`not ended after ${ATTEMPTS_MAX} attempts`);
}

function expectAgreement({ book, host }: Stage, how: string): void {
  expect(book.vm.operation, how).toBeNull();
  expect(book.vm.hold, how).toBeNull();
  const expected = [...book.vm.snapshots.keys()].map(tagOf);
  for (const image of host.images.values()) {
    const ours = image.tags.map(({ name }) => name).filter((name) => snapshotOfTag(name) !== null);
    expect(ours.toSorted(), how).toEqual(expected.toSorted());
    expect(image.health, how).toBe(0);
  }
}

const ends = new Set<string>();
const deathbeds = new Set<string>();

for (const errand of ERRANDS) {
  test.each(FATES)(`${errand.name} ends well wherever %s`, async (fate) => {
    for (let n = 1; ; n += 1) {
      const stage = await prepared(errand);
      const deathbed = await dieAt(stage, n);
      if (deathbed === null) break;
      deathbeds.add(deathbed);
      const { end } = outcomeOf(await succeedTo(stage, fate, errand.isOn));
      const how = `${errand.name}, ${fate} at ${deathbed} (${n}): ${end}`;
      ends.add(end);
      expectAgreement(stage, how);
      if (end === 'loaded') {
        expect(
          [...stage.host.images.values()].map(({ content }) => content),
          how,
        ).toEqual(['first', 'first']);
      }
    }
  });
}

test('every end was seen, and most fault points were somebody’s deathbed', () => {
  expect([...ends].toSorted()).toEqual([
    'created',
    'deleted',
    'loaded',
    'undone: host-unreachable',
    'undone: machine-gone',
    'undone: needs-power-on',
  ]);
  // Those have their deaths on real QEMU: quiesce.test.ts, backup-death.test.ts, load-launched-died.test.ts there.
  const seldom = [
    'repair',
    'dismiss',
    'undo',
    'power',
    'freeze',
    'thaw',
    'copy',
    'fold',
    'pivot',
    'unlink',
    'launch',
  ];
  const usual = FAULT_POINTS.filter((point) => !seldom.some((word) => point.endsWith(word)));
  expect(usual.filter((point) => !deathbeds.has(point))).toEqual([]);
});
