import { describe, expect, test } from 'vitest';
import { taken } from './story/events.ts';
import { given } from './story/given.ts';
import { childrenOf, snapshotOfTag, subtreeOf, tagOf, unborn } from './vm.ts';

const { vm } = given(taken('a'), taken('b', 'a'), taken('c', 'b'), taken('d', 'a'), taken('e'));
const ID = '3fab28c9-a6bd-4659-b9bc-683780d8a2d5';

test('the children of a snapshot are those that were taken when it was current', () => {
  expect(childrenOf(vm, 'a').map(({ id }) => id)).toEqual(['b', 'd']);
  expect(childrenOf(vm, 'c')).toEqual([]);
});

describe('a subtree', () => {
  test('is a snapshot and all that descend from it, each after its descendants', () => {
    expect(subtreeOf(vm, 'a')).toEqual(['c', 'd', 'b', 'a']);
    expect(subtreeOf(vm, 'b')).toEqual(['c', 'b']);
    expect(subtreeOf(vm, 'e')).toEqual(['e']);
  });

  test('may be a chain as deep as there are snapshots', () => {
    const chain = Array.from({ length: 20_000 }, (_, at) => `${at}`);
    const deep = unborn();
    const [first] = vm.snapshots.values();
    for (const [at, id] of chain.entries()) {
      if (first) deep.snapshots.set(id, { ...first, id, parentId: chain[at - 1] ?? null });
    }
    expect(subtreeOf(deep, '0')).toEqual(chain.toReversed());
  });
});

describe('a tag', () => {
  test('leads back to its snapshot', () => {
    expect(snapshotOfTag(tagOf(ID))).toBe(ID);
  });

  test('that is not ours leads nowhere', () => {
    for (const tag of [
      '',
      'a',
      ID,
      `sl-${ID}x`,
      ` sl-${ID}`,
      `sl-${ID.toUpperCase()}`,
      'sl-',
      `sl-${ID}\n`,
    ]) {
      expect(snapshotOfTag(tag), tag).toBeNull();
    }
  });
});
