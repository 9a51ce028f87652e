/* When is a plan another one, what does it say, and does making it touch anything? */
import type { CommandOf } from '#ledger';
import { v7 } from 'uuid';
import { expect, test } from 'vitest';
import { fakeImage, putTag } from './fake-image.ts';
import type { Notebook } from './notebook.ts';
import { running, type Stage, switchedOff } from './stage.ts';

const limits = { snapshotsMax: 200, chainMax: 64 };

const create = (more: Partial<CommandOf<'CreateSnapshot'>> = {}): CommandOf<'CreateSnapshot'> => ({
  type: 'CreateSnapshot',
  snapshotId: v7(),
  operationId: v7(),
  limits,
  ...more,
});

const basis = async (book: Notebook, more: Partial<CommandOf<'CreateSnapshot'>> = {}): Promise<string> =>
  (await book.plan(create(more))).basis;

test('a plan stays the same while time passes and nothing moves, whatever ids are made up for it', async () => {
  const { book, host, qemu } = await running();
  const external = { disks: [{ device: 'na-dev', mode: 'external' as const }], memory: 'external' as const };
  const before = [await basis(book), await basis(book, external)];
  await host.world.clock.sleep(86_400_000);
  expect([await basis(book), await basis(book, external)]).toEqual(before);
  expect(before[0]).not.toBe(before[1]);
  expect(qemu.commands).toEqual([]);
  expect(host.toolCalls.filter((call) => !call.startsWith('info'))).toEqual([]);
  expect(host.texts.size).toBe(0);
});

test.each<readonly [string, (stage: Stage) => void]>([
  ['is switched off', ({ host }) => host.die()],
  ['is made to stand still', ({ qemu }) => (qemu.runState = 'paused')],
  [
    'gets another disk',
    ({ qemu }) => qemu.drives.push({ node: 'nc', file: '/images/c', image: fakeImage() }),
  ],
  ['gets a tag of somebody else', ({ host }) => putTag(host.image('b'), 'monday')],
])('a plan is another one once the machine %s', async (_, change) => {
  const stage = await running();
  stage.host.images.set('/images/c', fakeImage());
  const wish = { diskOnly: true };
  const before = await basis(stage.book, wish);
  change(stage);
  expect(await basis(stage.book, wish)).not.toBe(before);
});

test('who comes with a plan gets it as long as the machine is as it was, and else nothing', async () => {
  const { book, host, qemu } = await running();
  const wish = { diskOnly: true };
  const plan = { hash: 'h', basis: await basis(book, wish) };
  expect((await book.create({ ...wish, plan })).end).toBe('created');
  const next = { hash: 'h', basis: await basis(book, wish) };
  putTag(host.image('b'), 'monday');
  const before = [host.tags, qemu.commands.length];
  expect((await book.create({ ...wish, plan: next })).end).toBe('undone: plan-changed');
  expect([host.tags, qemu.commands.length]).toEqual(before);
});

test('a load and a delete come with their plans too', async () => {
  const { book, host } = await running();
  const { snapshotId } = await book.create();
  const ids = { snapshotId, operationId: v7() };
  const load = await book.plan({ type: 'LoadSnapshot', ...ids });
  const merge = await book.plan({ type: 'DeleteSnapshot', ...ids, strategy: 'merge' });
  putTag(host.image('a'), 'monday');
  const lateLoad = await book.load(snapshotId, { plan: { hash: 'h', basis: load.basis } });
  expect(lateLoad.end).toBe('undone: plan-changed');
  const late = { hash: 'h', basis: merge.basis };
  book.handle({ type: 'DeleteSnapshot', snapshotId, operationId: v7(), strategy: 'merge', plan: late });
  expect(await book.work()).toMatchObject({ failed: { reason: 'plan-changed', outcome: 'undone' } });
});

test('a capture with memory says that the machine stops, where, and what is written', async () => {
  const { book } = await running();
  const { commands, bytes, stops } = await book.plan(create());
  expect(commands).toEqual([
    'stop the machine',
    expect.stringMatching(/^savevm: put sl-.* on na-dev$/),
    expect.stringMatching(/^savevm: put sl-.* on nb-dev$/),
    'let the machine run again',
  ]);
  expect(bytes).toBe(64 * 1024 * 1024);
  expect(stops).toEqual({ machine: true, estimatedMs: expect.any(Number) });
  expect(await book.plan(create({ diskOnly: true }))).toMatchObject({
    commands: [expect.any(String), expect.any(String)],
    ...{ bytes: 0, stops: { machine: false, estimatedMs: 0 } },
  });
});

test('what only the machine shows is refused as the operation would be: nothing waits, nothing is recorded', async () => {
  const { book, qemu, host } = await running();
  qemu.jobs.push({ id: 'backup', type: 'backup', status: 'running' });
  await expect(book.plan(create())).rejects.toMatchObject({ name: 'Refusal', code: 'machine-busy' });
  qemu.jobs = [];
  putTag(host.image('b'), 'monday');
  await expect(book.plan(create({ name: 'monday' }))).rejects.toMatchObject({ code: 'name-taken' });
  host.freeBytes = 1;
  await expect(book.plan(create())).rejects.toMatchObject({ code: 'no-space' });
});

test('a machine that dies while it is looked at leaves nothing to say', async () => {
  const { book, qemu, host } = await running();
  qemu.interfere('query-memory-size-summary', (_, proceed) => {
    host.die();
    return proceed();
  });
  await expect(book.plan(create())).rejects.toMatchObject({ name: 'Refusal', code: 'host-unreachable' });
});

test('a machine that is off is planned for without taking the locks of its images', async () => {
  const { book, host } = await switchedOff();
  const plan = await book.plan(create());
  expect(plan.stops).toEqual({ machine: false, estimatedMs: 0 });
  expect(plan.commands.map((words) => words.replace(/sl-\S+/, 'TAG'))).toEqual([
    'qemu-img: put TAG on na-dev',
    'qemu-img: put TAG on nb-dev',
  ]);
  host.image('a').lockedBy = 'somebody';
  expect((await book.plan(create())).basis).toBe(plan.basis);
});
