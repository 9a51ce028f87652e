import { describe, expect, test } from 'vitest';
import type { Command } from './commands.ts';
import { decide } from './decide.ts';
import { afterwards, wishIn } from './foresee.ts';
import {
  create,
  createUnnamed,
  deleteAll,
  load,
  loadvm,
  merge,
  mergeForce,
  rename,
  reportCreated,
  reportDeleted,
  reportLoaded,
  retire,
  savevm,
} from './story/commands.ts';
import { lineageOf, played } from './story/given.ts';

const wiki = [savevm('a'), savevm('b'), savevm('c'), loadvm('b')];

describe('what would be', () => {
  test.each<readonly [string, Command, Command]>([
    ['create', create('e'), reportCreated('e')],
    ['load', load('a'), reportLoaded('a')],
    ['merge', merge('b'), reportDeleted('b')],
  ])('after a %s is what is then, and meanwhile nothing is', (_, asked, reported) => {
    const vm = played(...wiki);
    const before = structuredClone(vm);
    const open = afterwards(vm, asked).vm;
    expect(open.operation).not.toBeNull();
    const held = structuredClone(open);
    const foreseen = afterwards(open, reported).vm;
    expect(open).toEqual(held);
    expect(vm).toEqual(before);
    const now = played(...wiki, asked, reported);
    expect(foreseen).toEqual(now);
  });

  test('after what needs no machine is so at once', () => {
    const { vm, events } = afterwards(played(savevm('a')), retire('a'));
    expect(events.map(({ type }) => type)).toEqual(['SnapshotRetired']);
    expect(vm.snapshots.get('a')?.status).toBe('retired');
    expect(vm.operation).toBeNull();
  });

  test('after what needs no machine is no work of anybody else either', () => {
    const busy = played(savevm('a'), create('b'));
    expect(afterwards(busy, retire('a')).operation).toBeNull();
    expect(afterwards(played(savevm('a')), create('b')).operation).toMatchObject({ kind: 'create' });
  });

  test('is refused what would be refused', () => {
    const vm = played(savevm('a'), create('b'));
    expect(() => afterwards(vm, load('a'))).toThrow(/under way/);
    expect(lineageOf(vm)).toEqual({ a: null, b: 'a' });
  });
});

const wishOf = (command: Command, isIdGiven = false): object[] =>
  decide(command, played(...wiki)).map((event) => wishIn(event, isIdGiven));

const pin = (snapshotId: string) => ({ snapshotId, what: 'disks' as const });

describe('a wish', () => {
  test('is the same whatever ids were made up for it', () => {
    expect(wishOf(createUnnamed('x'))).toEqual(wishOf(createUnnamed('y')));
    const one = load('a', { operationId: 'one', pin: pin('x') });
    expect(wishOf(one)).toEqual(wishOf(load('a', { operationId: 'other', pin: pin('y') })));
    expect(wishOf({ ...merge('a'), operationId: 'other' } as Command)).toEqual(wishOf(merge('a')));
  });

  test('is another one by everything that somebody chose', () => {
    const wishes = [
      wishOf(create('x')),
      wishOf(create('x'), true),
      wishOf(create('x', { name: 'other' })),
      wishOf(create('x', { labels: { a: 'b' } })),
      wishOf(createUnnamed('x')),
      wishOf(createUnnamed('x'), true),
      wishOf(createUnnamed('y'), true),
      wishOf(load('a')),
      wishOf(load('b')),
      wishOf(load('a', { pin: { snapshotId: 'p', what: 'disks' } })),
      wishOf(load('a', { resume: 'paused' })),
      wishOf(merge('a')),
      wishOf(mergeForce('a')),
      wishOf(deleteAll),
      wishOf(retire('a')),
      wishOf(rename('a', 'z')),
    ];
    expect(new Set(wishes.map((wish) => JSON.stringify(wish))).size).toBe(wishes.length);
  });
});

describe('a plan that comes with a request', () => {
  const plan = { hash: 'h', basis: 'b' };

  test.each<readonly [string, Command]>([
    ['create', create('e', { plan })],
    ['load', load('a', { plan })],
    ['merge', { ...merge('b'), plan } as Command],
    ['delete of all', { ...deleteAll, plan } as Command],
  ])('is recorded with a %s, and is there for whoever carries it out', (_, command) => {
    const { vm, events } = afterwards(played(...wiki), command);
    expect(events).toMatchObject([{ data: { plan } }]);
    const { operation } = vm;
    expect(operation?.kind === 'delete' ? operation.plan : operation?.request.plan).toEqual(plan);
  });

  test('is nothing where nobody made one', () => {
    const { vm } = afterwards(played(savevm('a')), merge('a'));
    expect(vm.operation).not.toHaveProperty('plan');
  });
});
