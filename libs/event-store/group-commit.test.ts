import { expect, test } from 'vitest';
import { realWorld } from '#world';
import { type Append, GroupCommit, TURNS_PER_BATCH_MAX } from './group-commit.ts';
import { CHAIN_START, seal } from './seal.ts';

/** The first append to a stream of its own. */
function appendTo(stream: string): Append {
  const by = {
    recordedAt: '',
    actor: '',
    correlationId: '',
    causationId: '',
    commandId: '',
    commandDigest: '',
  };
  const envelope = { id: stream, type: 'Filled', stream, version: '1', ...by, schemaVersion: '1', data: {} };
  return { stream, expectedVersion: 0, events: [seal(envelope, CHAIN_START.hash)] };
}

/** Commits whose turns of the event loop end when the test says so. */
function stage() {
  const ends: (() => void)[] = [];
  const batches: string[][] = [];
  const world = { ...realWorld(), turn: () => new Promise<void>((end) => ends.push(end)) };
  const commits = new GroupCommit(world, (batch) => {
    batches.push(batch.map(({ stream }) => stream));
    return batch.map(() => ['1']);
  });
  const endTurn = async (): Promise<void> => {
    ends.shift()?.();
    await realWorld().turn();
  };
  return { commits, batches, endTurn };
}

test('an append that nobody joins is committed after one turn', async () => {
  const { commits, batches, endTurn } = stage();
  const appended = commits.append(appendTo('a'));
  await endTurn();
  expect(batches).toEqual([['a']]);
  await appended;
});

test('appends share a commit for as long as every turn brings more of them', async () => {
  const { commits, batches, endTurn } = stage();
  const appended = [commits.append(appendTo('a')), commits.append(appendTo('b'))];
  await endTurn();
  appended.push(commits.append(appendTo('c')));
  await endTurn();
  expect(batches).toEqual([]);
  await endTurn();
  expect(batches).toEqual([['a', 'b', 'c']]);
  await Promise.all(appended);
});

test('those that keep coming do not keep the first from being committed', async () => {
  const { commits, batches, endTurn } = stage();
  const appended = [commits.append(appendTo('first'))];
  for (let turn = 1; turn <= TURNS_PER_BATCH_MAX; turn += 1) {
    expect(batches).toEqual([]);
    appended.push(commits.append(appendTo(`turn-${turn}`)));
    await endTurn();
  }
  expect(batches.map((batch) => batch.length)).toEqual([1 + TURNS_PER_BATCH_MAX]);
  await Promise.all(appended);
});
