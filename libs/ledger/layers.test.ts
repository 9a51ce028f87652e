import { describe, expect, test } from 'vitest';
import { chainUnder, layersOn, stoodOn, tenantsOf } from './layers.ts';
import { changed, stackOf, told, without } from './story/stack.ts';

// G came with the machine and stays; A, B, C … are ours. The machine writes on the last argument but one.
const chain = stackOf(['G A B C'], 'C', { g: 'G', a: 'A', b: 'B' });

describe('the files under a disk', () => {
  test('are a chain, top first', () => {
    expect(chainUnder(chain, 'B').map(({ file }) => file)).toEqual(['B', 'A', 'G']);
    expect(chainUnder(chain, 'nobody')).toEqual([]);
    expect(layersOn(chain, 'A').map(({ file }) => file)).toEqual(['B']);
    expect([...stoodOn(chain)]).toEqual(['C', 'B', 'A', 'G']);
  });

  test('that stand on each other in a circle end where they began', () => {
    const circle = stackOf(['A B A'], 'B', {});
    expect(chainUnder(circle, 'B').map(({ file }) => file)).toEqual(['B', 'A']);
  });

  test('have tenants: the snapshots inside them, not those that they are', () => {
    const vm = stackOf(['G A'], 'A', { g: 'G', t: 'in A', u: 'in G' });
    expect(tenantsOf(vm.snapshots.values(), 'G').map(({ id }) => id)).toEqual(['u']);
    expect(tenantsOf(vm.snapshots.values(), 'A').map(({ id }) => id)).toEqual(['t']);
  });
});

describe('when nobody asks for a layer any more', () => {
  test.each([
    ['the root: the one above is pushed into the image that came with the machine', ['g'], ['push A into G']],
    [
      'a middle one is pulled up into the next, which stands on what it stood on',
      ['a'],
      ['pull A into B on G'],
    ],
    ['the newest is pulled up into what the machine writes on', ['b'], ['pull B into C on A']],
    ['two in a row go at once', ['a', 'b'], ['pull B A into C on G']],
    [
      'the root and the next: all is pushed down to the next that somebody needs',
      ['g', 'a'],
      ['push B A into G'],
    ],
    ['all of them: the machine writes on its own image again', ['g', 'a', 'b'], ['push C B A into G']],
    ['nobody: nothing is touched', [], []],
  ])('%s', (_, gone, plan) => {
    expect(told(without(chain, gone).plan)).toEqual(plan);
  });

  test('what is pulled up is pulled before the layer under it is pushed away', () => {
    const vm = stackOf(['G A B C', 'G A D'], 'D', { g: 'G', a: 'A', b: 'B', c: 'C' });
    const { plan, change } = without(vm, ['g', 'b']);
    expect(told(plan)).toEqual(['pull B into C on A', 'push A into G']);
    expect(changed(change)).toEqual(['C on G', 'D on G', 'no B', 'no A', 'a is in G']);
  });

  test('a leaf that the machine does not stand on is dropped, whoever stands on nothing of it', () => {
    const vm = stackOf(['G A B', 'G C'], 'C', { g: 'G', a: 'A', b: 'B' });
    expect(told(without(vm, ['b']).plan)).toEqual(['drop B']);
    expect(told(without(vm, ['b', 'a']).plan)).toEqual(['drop B', 'drop A']);
    expect(told(without(vm, ['a']).plan)).toEqual(['pull A into B on G']);
  });

  test('what was left by a load is dropped, and what stood on it before it', () => {
    const vm = stackOf(['G A B C', 'G D'], 'D', { g: 'G' });
    expect(told(without(vm, []).plan)).toEqual(['drop C', 'drop B', 'drop A']);
  });

  test('a shared layer is copied up into each that stands on it', () => {
    const vm = stackOf(['G A B', 'G A C'], 'C', { a: 'A', b: 'B' });
    expect(told(without(vm, ['a']).plan)).toEqual(['pull A into C on G', 'pull A into B on G']);
  });

  test('a run that forks is copied up into each end, and each end is whole', () => {
    const vm = stackOf(['G A B', 'G A C D'], 'D', { a: 'A', b: 'B', c: 'C' });
    const { plan, change } = without(vm, ['a', 'c']);
    expect(told(plan)).toEqual(['pull C A into D on G', 'pull A into B on G']);
    expect(changed(change)).toEqual(['B on G', 'D on G', 'no C', 'no A']);
  });

  test('what only a layer that is dropped stands on does not count as shared', () => {
    const vm = stackOf(['G A', 'G B'], 'B', { g: 'G' });
    expect(told(without(vm, ['g']).plan)).toEqual(['push B into G', 'drop A']);
  });
});

describe("the user's own image", () => {
  test('takes in what stands on it only when nobody else does', () => {
    const vm = stackOf(['G A', 'G B'], 'B', { g: 'G', a: 'A' });
    expect(told(without(vm, ['g']).plan)).toEqual([]);
    expect(changed(without(vm, ['g']).change)).toEqual([]);
  });

  test('is never dropped, also when nothing stands on it any more', () => {
    const vm = stackOf(['G', 'A'], 'A', { g: 'G' });
    expect(told(without(vm, ['g']).plan)).toEqual([]);
  });

  test('stays as it is while a snapshot lives inside', () => {
    const vm = stackOf(['G A'], 'A', { g: 'G', t: 'in G' });
    expect(told(without(vm, ['g']).plan)).toEqual([]);
  });

  test('is not written for a middle snapshot: the layer goes up', () => {
    expect(told(without(chain, ['a']).plan)).toEqual(['pull A into B on G']);
  });

  test('with the one above holding a snapshot: the snapshot moves down with its content', () => {
    const vm = stackOf(['G A B'], 'B', { g: 'G', a: 'A' });
    expect(changed(without(vm, ['g']).change)).toEqual(['B on G', 'no A', 'a is in G']);
  });

  test('takes in the whole chain of the machine when all snapshots go', () => {
    const vm = stackOf(['G A B C', 'G A D'], 'C', { g: 'G', a: 'A', b: 'B', d: 'D', t: 'in C' });
    const { plan, change } = without(vm, ['g', 'a', 'b', 'd', 't']);
    expect(told(plan)).toEqual(['push C B A into G', 'drop D']);
    expect(changed(change)).toEqual(['no D', 'no B', 'no A', 'no C', 'vda writes G']);
  });

  test('takes in nameless layers too when all goes, if they may be folded', () => {
    const vm = stackOf(['G A B'], 'B', { a: 'A' });
    expect(told(without(vm, ['a']).plan)).toEqual(['pull A into B on G']);
    expect(told(without(vm, ['a'], { foldable: ['G', 'A', 'B'] }).plan)).toEqual(['push B A into G']);
  });
});

describe('a snapshot inside a layer reads what it lacks from below:', () => {
  test('it is lost when the layer takes up what it stood on', () => {
    const vm = stackOf(['G A B'], 'B', { g: 'G', a: 'A', t: 'in B' });
    expect(told(without(vm, ['a']).plan)).toEqual(['pull A into B on G', 'lose t']);
  });

  test('it is not lost when the fold is further down, where all it reads stays readable', () => {
    const vm = stackOf(['G A B C'], 'C', { g: 'G', a: 'A', b: 'B', t: 'in C' });
    expect(told(without(vm, ['a']).plan)).toEqual(['pull A into B on G']);
    expect(told(without(vm, ['g']).plan)).toEqual(['push A into G']);
  });

  test('it keeps its own layer in place of being pushed away with it', () => {
    const vm = stackOf(['G A'], 'A', { g: 'G', t: 'in A' });
    expect(told(without(vm, ['g']).plan)).toEqual([]);
    expect(told(without(vm, ['g', 't']).plan)).toEqual(['push A into G']);
  });

  test('it keeps the layer that a deleted snapshot had frozen', () => {
    const vm = stackOf(['G A B'], 'B', { g: 'G', a: 'A', t: 'in A' });
    expect(told(without(vm, ['a']).plan)).toEqual([]);
  });

  test('and is lost with a pull where a push is impossible', () => {
    const vm = stackOf(['G A B'], 'B', { g: 'G', a: 'A', t: 'in B' });
    expect(told(without(vm, ['g', 'a']).plan)).toEqual(['pull A into B on G', 'lose t']);
  });

  test('is named once, however many of its disks would lose', () => {
    const vm = stackOf(['G A B', 'G A C'], 'C', { a: 'A', t: 'in B' });
    const [t] = [...vm.snapshots.values()].filter(({ id }) => id === 't');
    if (t) t.disks = [...t.disks, { device: 'vdb', mode: 'internal', file: 'C' }];
    expect(told(without(vm, ['a']).plan)).toEqual(['pull A into C on G', 'pull A into B on G', 'lose t']);
  });
});

const spared = (file: string, gone: string[]): string[] =>
  told(without(chain, gone, { spared: [file] }).plan);

describe('a layer that somebody else reads', () => {
  test('is kept, and nothing is copied into it from above', () => {
    expect(spared('G', ['g'])).toEqual([]);
    expect(spared('G', ['g', 'a', 'b'])).toEqual(['pull B A into C on G']);
    expect(spared('A', ['a'])).toEqual([]);
    expect(spared('A', ['g'])).toEqual([]);
  });

  test('still takes up what lies below it: it reads the same afterwards', () => {
    expect(spared('B', ['a'])).toEqual(['pull A into B on G']);
    expect(spared('B', ['a', 'b'])).toEqual(['pull A into B on G']);
  });

  test('is not dropped though the machine stands elsewhere, and neither is what it stands on', () => {
    const vm = stackOf(['G A B', 'G C'], 'C', { g: 'G', a: 'A', b: 'B' });
    expect(told(without(vm, ['b', 'a'], { foldable: [], spared: ['B'] }).plan)).toEqual([]);
    expect(told(without(vm, ['b', 'a'], { foldable: [], spared: ['A'] }).plan)).toEqual(['drop B']);
  });

  test('may be read by a backup', () => {
    const vm = stackOf(['G A B'], 'B', { g: 'G', a: 'A' });
    vm.backups = [{ device: 'vda', target: '/copies/a', backing: 'A' }];
    expect(told(without(vm, ['a']).plan)).toEqual([]);
    expect(told(without(vm, ['g', 'a']).plan)).toEqual([]);
    vm.backups = [];
    expect(told(without(vm, ['g', 'a']).plan)).toEqual(['push B A into G']);
  });
});

describe('a change', () => {
  test('that pulls onto a layer which is pushed away names the image below', () => {
    const vm = stackOf(['G A B C D'], 'D', { g: 'G', a: 'A', b: 'B', c: 'C' });
    const { plan, change } = without(vm, ['g', 'b']);
    expect(told(plan)).toEqual(['pull B into C on A', 'push A into G']);
    expect(changed(change)).toEqual(['C on G', 'no B', 'no A', 'a is in G']);
  });

  test('that pushes leaves those that stood on the layer on the image', () => {
    const vm = stackOf(['G A B', 'G A C'], 'C', { g: 'G', a: 'A', b: 'B' });
    expect(changed(without(vm, ['g']).change)).toEqual(['B on G', 'C on G', 'no A', 'a is in G']);
  });
});
