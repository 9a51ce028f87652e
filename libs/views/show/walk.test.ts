import { expect, test } from 'vitest';
import { Chance } from '../story/chance.ts';
import { type Tree, Walk, walkFrom, type WalkedNode, WalkState } from './walk.ts';

/** A tree by its parents: node n + 1 has the parent that stands at place n; 0 is nobody. */
function treeOf(parents: readonly number[]) {
  const children = new Map<number, number[]>();
  for (const [at, parent] of parents.entries()) {
    const siblings = children.get(parent) ?? [];
    siblings.push(at + 1);
    children.set(parent, siblings);
  }
  const of = (number: number): readonly number[] => children.get(number) ?? [];
  const parent = (number: number): number => parents[number - 1] ?? 0;
  const looks = { count: 0 };
  const looked = <T>(value: T): T => {
    looks.count += 1;
    return value;
  };
  const place = new Map(
    [...children.values()].flatMap((siblings) => siblings.map((one, at) => [one, at] as const)),
  );
  const tree: Tree = {
    firstChild: (number) => looked(of(number)[0] ?? null),
    nextSibling: (number) => looked(of(parent(number))[(place.get(number) ?? 0) + 1] ?? null),
    parent: (number) => looked(parent(number)),
  };
  return { tree, of, looks };
}

type Grown = ReturnType<typeof treeOf>;

/** In pre-order, without recursion: a chain may be deep. */
function preOrder({ of }: Grown, roots: readonly number[], depthMax: number): WalkedNode[] {
  const open = roots.map((number) => ({ number, depth: 0 })).toReversed();
  const nodes: WalkedNode[] = [];
  for (let next = open.pop(); next; next = open.pop()) {
    const { number, depth } = next;
    nodes.push(next);
    if (depth < depthMax)
      open.push(
        ...of(number)
          .map((child) => ({ number: child, depth: depth + 1 }))
          .toReversed(),
      );
  }
  return nodes;
}

/** Walks page by page, with nothing but the state from one to the next, as a client does. */
function walked(grown: Grown, pageSize: number, { root = null as number | null, depthMax = Infinity } = {}) {
  const nodes: WalkedNode[] = [];
  let [looksMax, pages] = [0, 0];
  let state: WalkState | null = walkFrom(root ?? 1);
  while (state) {
    const before = grown.looks.count;
    const walk: Walk = new Walk(grown.tree, { nodesMax: pageSize, depthMax, root }, state);
    const page = walk.page();
    nodes.push(...page);
    expect(page.length).toBeLessThanOrEqual(pageSize);
    looksMax = Math.max(looksMax, grown.looks.count - before);
    const next: WalkState | null = walk.state();
    state = next && WalkState.parse(JSON.parse(JSON.stringify(next)));
    pages += 1;
    expect(pages).toBeLessThan(100_000);
  }
  return { nodes, looksMax, pages };
}

test('pages of any size, one after the other, are the tree in pre-order', () => {
  const chance = new Chance(1);
  for (let round = 0; round < 300; round += 1) {
    const size = 1 + chance.below(60);
    const reach = 1 + chance.below(12);
    const grown = treeOf(Array.from({ length: size }, (_, at) => Math.max(0, at - chance.below(reach))));
    const pageSize = 1 + chance.below(7);
    const depthMax = chance.of([0, 1, 2, Infinity]) ?? 0;
    expect(walked(grown, pageSize, { depthMax }).nodes).toEqual(preOrder(grown, grown.of(0), depthMax));
    const root = 1 + chance.below(size);
    expect(walked(grown, pageSize, { depthMax, root }).nodes).toEqual(preOrder(grown, [root], depthMax));
  }
});

const chain = (length: number): number[] => Array.from({ length }, (_, at) => at);

test('a page of a deep chain costs a page, and so does the last one', () => {
  const grown = treeOf(chain(20_000));
  const { nodes, looksMax, pages } = walked(grown, 100);
  expect(nodes).toEqual(preOrder(grown, [1], Infinity));
  expect(pages).toBe(200);
  expect(looksMax).toBeLessThan(100 * 4);
});

test('a page of a star costs a page', () => {
  const grown = treeOf([0, ...Array<number>(20_000).fill(1)]);
  const { nodes, looksMax } = walked(grown, 100);
  expect(nodes).toEqual(preOrder(grown, [1], Infinity));
  expect(looksMax).toBeLessThan(100 * 4);
});

test('a page of a comb with more teeth than a token holds costs a page', () => {
  const back = 5_000;
  const grown = treeOf([...chain(back), ...Array.from({ length: back }, (_, at) => at + 1)]);
  const { nodes, looksMax } = walked(grown, 100);
  expect(nodes).toEqual(preOrder(grown, [1], Infinity));
  expect(looksMax).toBeLessThan(100 * 6);
});

test('a climb too long for one page makes short pages, and the walk arrives', () => {
  const [deep, teeth] = [30_000, 40];
  const parents = chain(deep);
  for (let tooth = 0; tooth < teeth; tooth += 1) parents.push(deep - teeth + tooth); // A comb at the bottom …
  parents.push(1); // … and a second child of the root, added last.
  const grown = treeOf(parents);
  const { nodes, looksMax } = walked(grown, 100);
  expect(nodes).toEqual(preOrder(grown, [1], Infinity));
  expect(looksMax).toBeLessThan(100 * 4 + 3 * 4_096);
});
