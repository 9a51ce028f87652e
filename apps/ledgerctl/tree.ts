import type { LineageNode } from '#views';
import type { Lineage } from './answers.ts';
import { instant, type Screen } from './screen.ts';
import { padded, widthOf } from './width.ts';

/** Deeper branches are drawn no further to the right: a chain of 10,000 would draw 10,000 columns of nothing. */
const DEPTH_DRAWN_MAX = 24;
/** Names share a column as long as they and their branches are no wider. */
const NAMES_WIDTH_MAX = 48;

/** States in which a snapshot is neither there nor gone, or not what it was. */
const HALF_DONE: ReadonlySet<string> = new Set(['pending', 'deleting', 'suspect', 'lost', 'failed']);

interface Branches {
  readonly fork: string;
  readonly last: string;
  readonly pipe: string;
  readonly gap: string;
  readonly current: string;
  readonly deeper: string;
}
const UNICODE: Branches = {
  fork: '├── ',
  last: '└── ',
  pipe: '│   ',
  gap: '    ',
  current: '● current',
  deeper: '⋯',
};
const ASCII: Branches = {
  fork: '|-- ',
  last: '`-- ',
  pipe: '|   ',
  gap: '    ',
  current: '* current',
  deeper: '...',
};

/** The lineage as a tree, one snapshot a line, with a line break at the end. */
export function drawTree({ nodes }: Pick<Lineage, 'nodes'>, screen: Screen): string {
  const branches = screen.isAscii ? ASCII : UNICODE;
  const stems = stemsOf(nodes, branches);
  const names = nodes.map((node, at) => `${stems[at] ?? ''}${nameOf(node, screen)}`);
  const width = names.reduce((widest, name) => Math.max(widest, widthOf(name)), 0);
  const column = Math.min(width, NAMES_WIDTH_MAX);
  return nodes
    .map((node, at) => [padded(names[at] ?? '', column), ...marksOf(node, screen, branches)].join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** What stands before each name. Roots stand at the edge. */
function stemsOf(nodes: readonly LineageNode[], branches: Branches): string[] {
  const isLast = lastOfTheirParents(nodes);
  const rootDepth = nodes[0]?.depth ?? 0;
  const columns: string[] = [];
  return nodes.map((node, at) => {
    const depth = node.depth - rootDepth;
    if (depth === 0) return '';
    const drawn = Math.min(depth, DEPTH_DRAWN_MAX);
    columns.length = drawn - 1;
    const fork = isLast[at] ? branches.last : branches.fork;
    const stem = columns.join('') + fork;
    columns.push(isLast[at] ? branches.gap : branches.pipe);
    return depth > DEPTH_DRAWN_MAX ? `${stem}${branches.deeper}${depth} ` : stem;
  });
}

/** Whether each node is the last child of its parent. Nodes are in pre-order, so one walk from the end tells. */
function lastOfTheirParents(nodes: readonly LineageNode[]): boolean[] {
  const isLast = nodes.map(() => false);
  const seenAtDepth: boolean[] = [];
  for (let at = nodes.length - 1; at >= 0; at -= 1) {
    const depth = nodes[at]?.depth ?? 0;
    isLast[at] = seenAtDepth[depth] !== true;
    seenAtDepth.length = depth + 1; // What lies deeper belongs to this node or to one before it.
    seenAtDepth[depth] = true;
  }
  return isLast;
}

function nameOf({ name, status }: LineageNode, { text, paint }: Screen): string {
  return HALF_DONE.has(status) ? paint('red', text(name)) : text(name);
}

function marksOf(node: LineageNode, screen: Screen, branches: Branches): string[] {
  const marks = [
    screen.paint('dim', instant(screen.text(node.createdAt))),
    node.status === 'complete' ? '' : statusWord(node.status, screen),
    node.memory.mode === 'none' ? '' : 'memory',
    node.protected ? 'protected' : '',
    node.implicit ? 'pin' : '',
    node.current ? screen.paint('green', branches.current) : '',
  ];
  return marks.filter((mark) => mark !== '');
}

/** The status of a snapshot, in red while it is half-done. */
export const statusWord = (status: string, screen: Screen): string =>
  HALF_DONE.has(status) ? screen.paint('red', screen.text(status)) : screen.text(status);
