/* Test-only. Every fault point that the code has: read from its text, so that none need be remembered. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export const root = join(import.meta.dirname, '../..');

/** One touch of the world: a point stands before it, and one after it. */
export interface Touch {
  readonly name: string;
  readonly what: string;
  /** The files of the product in which it is made. */
  readonly where: readonly string[];
}

type What =
  | 'the store'
  | 'the views'
  | 'QEMU'
  | 'the guest agent'
  | 'a file'
  | 'a child process'
  | 'another worker'
  | 'several of these';

interface Source {
  readonly path: string;
  readonly tree: ts.SourceFile;
}

const WORLD = 'libs/world/world.ts';
const QEMU_IMG = 'libs/hypervisor/qemu/images.ts';
const LAUNCHER = 'libs/hypervisor/qemu/launcher.ts';
const AGENT = 'libs/hypervisor/qemu/guest-agent.ts';
/** What is run for images besides qemu-img. */
const OTHER_PROGRAMS: ReadonlySet<string> = new Set(['cp', 'sync']);
const POINT = /^(hypervisor|worker|store|states|views)\.(before|after)-[a-z-]+$/;

/** All touches, by name. Throws when a point has no counterpart on the other side, and when nobody makes a touch. */
export function touchesInCode(commands: ReadonlySet<string>): Touch[] {
  const found = new Map<string, { whats: Set<What>; where: Set<string> }>();
  const points = new Set<string>();
  for (const { path, tree } of productSources()) {
    const add = (name: string, what: What): void => {
      const touch = found.get(name) ?? { whats: new Set(), where: new Set() };
      touch.whats.add(what);
      touch.where.add(path);
      found.set(name, touch);
    };
    for (const point of marksIn(path, tree)) {
      points.add(point);
      add(point.replace(/\.(before|after)-/, '.'), whatOf(point));
    }
    for (const [name, what] of callsIn(path, tree)) add(name, what);
    for (const command of saidIn(path, tree, commands))
      add(`say.${command}`, command.startsWith('guest-') ? 'the guest agent' : 'QEMU');
  }
  requireCallers(found);
  requireBothSides(points);
  return [...found]
    .map(([name, { whats, where }]) => ({
      ...{ name, what: [...whats].toSorted().join(', '), where: [...where].toSorted() },
    }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

/** Files of the product that run in a process that may die: no tests, no stories, no fakes, no adapters of the world. */
function productSources(): Source[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', 'apps', 'libs'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  return listed
    .split('\n')
    .filter((path) => path.endsWith('.ts') && !/\.test\.ts$|\/story\/|\/fake\/|^libs\/world\//.test(path))
    .map((path) => ({ path, tree: parsed(path) }));
}

const parsed = (path: string): ts.SourceFile =>
  ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.ESNext, true);

function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of node.getChildren()) yield* nodesOf(child);
}

function* textsIn(tree: ts.SourceFile): Generator<ts.StringLiteral> {
  for (const node of nodesOf(tree)) if (ts.isStringLiteral(node)) yield node;
}

/** Points that the code names itself; the list of them is no place where one is passed. */
const marksIn = (path: string, tree: ts.SourceFile): string[] =>
  path === 'libs/hypervisor/fault-points.ts'
    ? []
    : [...textsIn(tree)].map(({ text }) => text).filter((text) => POINT.test(text));

function whatOf(point: string): What {
  if (/^(store|states)\./.test(point)) return 'the store';
  return point.startsWith('views.') ? 'the views' : 'several of these';
}

/** Calls of the ports of `World`, whatever it is called where the call stands. */
function* callsIn(path: string, tree: ts.SourceFile): Generator<[string, What]> {
  for (const node of nodesOf(tree)) {
    if (ts.isArrayLiteralExpression(node) && path === QEMU_IMG) yield* verbsIn(node);
    if (!ts.isCallExpression(node)) continue;
    if (path === QEMU_IMG) yield* programsIn(node);
    const [verb = '', port = ''] = node.expression.getText().split('.').toReversed();
    const touch = touchOf(path, port, verb);
    if (touch) yield touch;
  }
}

function touchOf(path: string, port: string, verb: string): [string, What] | null {
  if (port === 'files' || port === 'streams')
    return VERBS[port].has(verb) ? [`${port}.${verb}`, 'a file'] : null;
  if (verb === 'connect' && port === 'world') return ['connect', path === AGENT ? 'the guest agent' : 'QEMU'];
  if (verb === 'lock' && port === '#world') return ['lock', 'another worker'];
  return verb === 'run' && path === LAUNCHER ? ['run.LAUNCHER', 'a child process'] : null;
}

/** The verb of qemu-img that begins a list of arguments. */
function* verbsIn({ elements: [first] }: ts.ArrayLiteralExpression): Generator<[string, What]> {
  if (first && ts.isStringLiteral(first) && /^[a-z]+$/.test(first.text) && first.text !== 'n')
    yield [`run.qemu-img-${first.text}`, 'a child process'];
}

/** Programs besides qemu-img. */
function* programsIn({ arguments: given }: ts.CallExpression): Generator<[string, What]> {
  for (const argument of given) {
    if (ts.isStringLiteral(argument) && OTHER_PROGRAMS.has(argument.text))
      yield [`run.${argument.text}`, 'a child process'];
  }
}

/** Words that QEMU or its guest agent knows as commands, where they are not read, compared or quoted. */
function* saidIn(path: string, tree: ts.SourceFile, commands: ReadonlySet<string>): Generator<string> {
  if (!/^libs\/(qmp|hypervisor)\//.test(path)) return;
  for (const literal of textsIn(tree)) if (commands.has(literal.text) && isSaid(literal)) yield literal.text;
}

function isSaid({ parent }: ts.StringLiteral): boolean {
  if (ts.isCallExpression(parent)) return !parent.expression.getText().startsWith('steps.');
  if (ts.isPropertyAssignment(parent)) return ['command', 'execute'].includes(parent.name.getText());
  return ts.isConditionalExpression(parent) || ts.isArrayLiteralExpression(parent);
}

/** The verbs of a port, as `World` declares it. */
function verbsOf(port: string): ReadonlySet<string> {
  for (const node of nodesOf(parsed(WORLD)))
    if (ts.isInterfaceDeclaration(node) && node.name.text === port)
      return new Set(node.members.map((member) => member.name?.getText() ?? ''));
  throw new Error(`${WORLD} declares no ${port}`);
}

const VERBS = { files: verbsOf('Files'), streams: verbsOf('Streams') };

/** A port that is wider than what is asked of it would have points that nobody passes. */
function requireCallers(touches: ReadonlyMap<string, unknown>): void {
  for (const [port, verbs] of Object.entries(VERBS))
    for (const verb of verbs)
      if (!touches.has(`${port}.${verb}`)) throw new Error(`nobody calls ${port}.${verb} of the World`);
}

function requireBothSides(points: ReadonlySet<string>): void {
  for (const point of points) {
    const other = point.replace(/\.(before|after)-/, (side) =>
      side === '.before-' ? '.after-' : '.before-',
    );
    if (!points.has(other)) throw new Error(`the code has a fault point ${point} and no ${other}`);
  }
}
