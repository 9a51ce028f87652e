import { expect, test } from 'vitest';
import type { LineageNode } from '#views';
import { snapshot } from '../../test/ledgerctl/specimens.ts';
import { drawTree } from './tree.ts';
import { safe, type Screen } from './screen.ts';

/** Colours as words, so that they show. */
const seen = (isAscii: boolean): Screen => ({
  text: safe,
  paint: (style, text) => (style === 'dim' ? '' : `<${style}>${text}</${style}>`),
  isAscii,
});

const node = (depth: number, name: string, more: Partial<LineageNode> = {}): LineageNode => ({
  ...snapshot(name),
  depth,
  childCount: 0,
  ...more,
});

const draw = (nodes: readonly LineageNode[], isAscii = false): string[] =>
  drawTree({ nodes }, seen(isAscii)).trimEnd().split('\n');

// savevm a b c d, loadvm b, savevm e: the case of the 2010 wiki page.
const wiki = [
  node(0, 'a'),
  node(1, 'b'),
  node(2, 'c', { memory: { mode: 'internal' } }),
  node(3, 'd', { protected: true }),
  node(2, 'e', { current: true }),
];

test('the tree shows that a snapshot taken after a load descends from the loaded one, and where the machine stands', () => {
  expect(draw(wiki)).toEqual([
    'a',
    '└── b',
    '    ├── c      memory',
    '    │   └── d  protected',
    '    └── e      <green>● current</green>',
  ]);
});

test('where UTF-8 is not read the tree is drawn with ASCII characters', () => {
  expect(draw(wiki, true)).toEqual([
    'a',
    '`-- b',
    '    |-- c      memory',
    '    |   `-- d  protected',
    '    `-- e      <green>* current</green>',
  ]);
});

test('what is half-done is red, what is retired or pinned is named', () => {
  const drawn = draw([
    node(0, 'a'),
    node(1, 'b', { status: 'pending' }),
    node(1, 'c', { status: 'deleting' }),
    node(1, 'd', { status: 'suspect' }),
    node(1, 'e', { status: 'retired' }),
    node(1, 'f', { implicit: true }),
    node(0, 'g', { status: 'lost' }),
  ]);
  expect(drawn.map((line) => line.replaceAll(/ {2,}/g, '  '))).toEqual([
    'a',
    '├── <red>b</red>  <red>pending</red>',
    '├── <red>c</red>  <red>deleting</red>',
    '├── <red>d</red>  <red>suspect</red>',
    '├── e  retired',
    '└── f  pin',
    '<red>g</red>  <red>lost</red>',
  ]);
});

test('a part of a tree is drawn from its own root', () => {
  expect(draw([node(2, 'c'), node(3, 'd'), node(3, 'e')])).toEqual(['c', '├── d', '└── e']);
});

test('a chain of a thousand does not run out of the screen', () => {
  const lines = draw(Array.from({ length: 1_000 }, (_, depth) => node(depth, 'a')));
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(120);
  expect(lines[24]).toBe(`${' '.repeat(23 * 4)}└── a`);
  expect(lines[999]).toBe(`${' '.repeat(23 * 4)}└── ⋯999 a`);
});

test('a name cannot break out of its line, whatever it is', () => {
  const names = ['__proto__', 'a\u001b[31m\nb', '\u202egnp.exe', '🦆 שלום'];
  expect(draw(names.map((name) => node(0, name)))).toEqual([
    '__proto__',
    String.raw`a\u001b[31m\nb`,
    String.raw`\u202egnp.exe`,
    '🦆 שלום',
  ]);
});

test('an empty lineage draws nothing', () => {
  expect(draw([])).toEqual(['']);
});
