import { optionalTextOf, type Shape, textOf } from './arguments.ts';
import type { BlockNode } from './block-graph.ts';
import { BLOCKS, HOLE } from './content.ts';
import { conclude, newJob, wait } from './job.ts';
import type { Json, JsonObject } from './json.ts';
import type { Job, Machine } from './machine.ts';
import { nodeNamed } from './opening.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

/* Jobs that copy between layers beside the main loop, and wait to be told to end. */

/** For one block, which stands for a share of the whole disk. */
const COPY_LEAST_MS = 0.5;
const COPY_MOST_MS = 5_000;
/** From `job-complete` to the pivot. */
const COMPLETE_MS = 0.3;

export const STREAM: Shape = {
  'job-id': 'string',
  device: 'string',
  '*base-node': 'string',
  '*backing-file': 'string',
  '*auto-finalize': 'boolean',
  '*auto-dismiss': 'boolean',
};
export const COMMIT: Shape = { ...STREAM, '*top-node': 'string' };

/** `block-stream`: copies up into a node what it reads from below, down to the base. */
export function blockStream(machine: Machine, args: JsonObject): Json {
  const { graph } = machine;
  const into = nodeToCopy(machine, textOf(args, 'device'));
  const baseName = optionalTextOf(args, 'base-node');
  const base = baseName === null ? null : nodeNamed(machine, baseName, '');
  const chain = graph.chainOf(into);
  if (base && !chain.slice(1).includes(base))
    throw new QmpError(`Node '${base.name}' is not a backing image of '${into.name}'`);
  const below = chain.slice(1, base ? chain.indexOf(base) : undefined);
  const job = begin(machine, args, { type: 'stream', nodes: [into, ...below, ...(base ? [base] : [])] });
  machine.beside(
    `job ${job.id}`,
    copying(machine, job, { from: below, into }, () => {
      job.end = () => over(machine, job, () => standOn(into, base, optionalTextOf(args, 'backing-file')));
      wait(machine, job, 'pending');
    }),
  );
  return {};
}

/** `block-commit`: copies down into the base what lies above it, up to the top or to what the guest writes. */
export function blockCommit(machine: Machine, args: JsonObject): Json {
  const { graph } = machine;
  const active = nodeToCopy(machine, textOf(args, 'device'));
  const topName = optionalTextOf(args, 'top-node');
  const top = topName === null ? active : nodeNamed(machine, topName, '');
  const base = nodeNamed(machine, textOf(args, 'base-node'), '');
  const chain = graph.chainOf(active);
  const [from, to] = [chain.indexOf(top), chain.indexOf(base)];
  if (from < 0 || to < 0)
    throw new QmpError(`'${(from < 0 ? top : base).name}' is not in this backing file chain`);
  if (from >= to) throw new QmpError('cannot commit an image into itself');
  requireAlone(machine, base, chain);
  const nodes = chain.slice(from, to + 1);
  const job = begin(machine, args, { type: 'commit', nodes: [...nodes, active] });
  base.isReadOnly = false;
  graph.settle();
  const source = chain.slice(from, to);
  const copy = { from: source, into: base };
  if (top === active)
    machine.beside(
      `job ${job.id}`,
      copying(machine, job, copy, () => ready(machine, job, copy, active)),
    );
  else {
    const child = chain[from - 1];
    machine.beside(
      `job ${job.id}`,
      copying(machine, job, copy, () => {
        job.end = () =>
          over(machine, job, () => {
            if (child) standOn(child, base, optionalTextOf(args, 'backing-file'));
            base.isReadOnly = true;
          });
        wait(machine, job, 'pending');
      }),
    );
  }
  return {};
}

function nodeToCopy({ graph }: Machine, name: string): BlockNode {
  const node = graph.find(name);
  if (!node) throw new QmpError(`Device '${name}' not found`, 'DeviceNotFound');
  const job = graph.jobOn(node);
  if (job) throw new QmpError(`Node '${name}' is busy: block device is in use by block job: ${job}`);
  return node;
}

/** Whoever else stands on it would see it change. */
function requireAlone({ graph }: Machine, base: BlockNode, chain: readonly BlockNode[]): void {
  const other = graph.nodes.find(
    ({ backing, name }) => backing === base && !chain.some((node) => node.name === name),
  );
  if (!other) return;
  throw new QmpError(
    `Permission conflict on node '${base.name}': permissions 'write' are both required by an unnamed block device (uses node '${base.name}' as 'main node') and unshared by node '${other.name}' (uses node '${base.name}' as 'backing' child).`,
  );
}

function begin(
  machine: Machine,
  args: JsonObject,
  { type, nodes }: { type: string; nodes: readonly BlockNode[] },
): Job {
  const dismissesItself = args['auto-dismiss'] !== false;
  const job = newJob(machine, { id: textOf(args, 'job-id'), type, total: BLOCKS, dismissesItself });
  machine.graph.busy.set(job.id, { job: type, nodes });
  return job;
}

interface Copy {
  /** The highest first. */
  readonly from: readonly BlockNode[];
  readonly into: BlockNode;
}

/** Block by block; a job that is cancelled or refused ends there. */
function* copying(machine: Machine, job: Job, copy: Copy, done: () => void): Work<void> {
  const { chance, faults, isFull } = machine.surroundings;
  let isCancelled = false;
  job.cancel = () => {
    isCancelled = true;
    if (job.status !== 'running') give(machine, job, 'Operation canceled');
  };
  const msEach = chance.betweenLog(COPY_LEAST_MS, COPY_MOST_MS);
  for (let block = 0; block < BLOCKS; block += 1) {
    yield* pause(chance, msEach, `copies block ${block}`);
    if (isCancelled) return give(machine, job, 'Operation canceled');
    if (isFull() || faults.happens('copy-no-space')) return give(machine, job, 'No space left on device');
    copyBlock(copy, block);
    job.done += 1;
  }
  done();
}

function copyBlock({ from, into }: Copy, block: number): void {
  const target = into.image;
  const value = from.map(({ image }) => image?.content[block] ?? HOLE).find((value) => value !== HOLE);
  if (!target || value === undefined) return;
  const isUp = !from.some(({ backing }) => backing === into);
  if (isUp && target.content[block] !== HOLE) return;
  if (target.content[block] !== value) target.copyIn(block, value);
}

/** All is copied, and what the guest writes from now on goes to both. */
function ready(machine: Machine, job: Job, copy: Copy, active: BlockNode): void {
  const base = copy.into;
  const pivot = (): void =>
    over(machine, job, () => {
      for (let block = 0; block < BLOCKS; block += 1) copyBlock(copy, block);
      base.image?.flush();
      for (const device of machine.graph.devices) if (device.node === active) device.node = base;
      if (base.image) base.image.frozen = null;
    });
  job.end = () => machine.later(COMPLETE_MS, `job ${job.id} pivots`, pivot);
  wait(machine, job, 'ready');
}

/** The header is durable at once, which what was copied is not (docs/decisions/005). */
function standOn(node: BlockNode, base: BlockNode | null, named: string | null): void {
  node.backing = base;
  if (!node.image) return;
  node.image.backing = base?.image ? { path: named ?? base.image.path, format: base.driver } : null;
}

function over(machine: Machine, job: Job, change: () => void): void {
  change();
  leave(machine, job);
  conclude(machine, job);
}

function give(machine: Machine, job: Job, error: string): void {
  const { graph } = machine;
  job.error = error;
  // What was opened for writing is frozen again.
  for (const node of graph.busy.get(job.id)?.nodes ?? []) if (graph.isBacking(node)) node.isReadOnly = true;
  leave(machine, job);
  conclude(machine, job);
}

function leave({ graph }: Machine, job: Job): void {
  graph.busy.delete(job.id);
  graph.settle();
}
