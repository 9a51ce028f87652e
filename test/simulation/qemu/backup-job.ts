import { type Shape, textOf } from './arguments.ts';
import type { BlockNode } from './block-graph.ts';
import { BLOCKS, type Content, HOLE } from './content.ts';
import { conclude, newJob, wait } from './job.ts';
import type { JsonObject } from './json.ts';
import type { Job, Machine } from './machine.ts';
import { nodeNamed } from './opening.ts';
import { pause, type Work } from './work.ts';

export const BACKUP: Shape = {
  'job-id': 'string',
  device: 'string',
  target: 'string',
  sync: 'string',
  '*auto-finalize': 'boolean',
  '*auto-dismiss': 'boolean',
};

const COPY_LEAST_MS = 0.5;
const COPY_MOST_MS = 5_000;

interface Backup {
  readonly job: Job;
  readonly source: BlockNode;
  readonly target: BlockNode;
  /** What the source held when the backup began. */
  readonly was: Content;
  /** What of it is to be copied; the guest's writes push the rest of it ahead. */
  readonly wanted: readonly number[];
}

/** `blockdev-backup` in a transaction: what the source holds now goes to the target, whatever the guest writes. */
// oxlint-disable-next-line require-yield -- the job begins when the transaction has ended
export function* beginBackup(machine: Machine, data: JsonObject): Work<() => Work<void>> {
  const { graph } = machine;
  const source = nodeNamed(machine, textOf(data, 'device'));
  const target = nodeNamed(machine, textOf(data, 'target'));
  const sync = textOf(data, 'sync');
  const job = newJob(machine, {
    ...{ id: textOf(data, 'job-id'), type: 'backup', total: BLOCKS },
    dismissesItself: data['auto-dismiss'] !== false,
  });
  const own = source.image?.content ?? [];
  const all = Array.from({ length: BLOCKS }, (_, block) => block);
  const wanted = sync === 'full' ? all : sync === 'top' ? all.filter((block) => own[block] !== HOLE) : [];
  const backup = { job, source, target, was: graph.read(source), wanted };
  graph.busy.set(job.id, { job: 'backup', nodes: [source, target] });
  if (sync === 'none') watch(machine, backup);
  else {
    const ends = data['auto-finalize'] === false ? 'when told' : 'by itself';
    machine.beside(`job ${job.id}`, copying(machine, backup, ends));
  }
  return () => takeBack(machine, backup);
}

// oxlint-disable-next-line require-yield -- the job has hardly begun
function* takeBack(machine: Machine, { job }: Backup): Work<void> {
  give(machine, job, 'Operation canceled');
}

function* copying(
  machine: Machine,
  { job, target, was, wanted }: Backup,
  ends: 'by itself' | 'when told',
): Work<void> {
  const { chance, faults, isFull } = machine.surroundings;
  let isCancelled = false;
  job.cancel = () => void (isCancelled = true);
  const msEach = chance.betweenLog(COPY_LEAST_MS, COPY_MOST_MS);
  for (const block of wanted) {
    yield* pause(chance, msEach, `copies block ${block}`);
    if (job.status === 'concluded') return;
    if (isCancelled) return give(machine, job, 'Operation canceled');
    if (isFull() || faults.happens('copy-no-space')) return give(machine, job, 'No space left on device');
    target.image?.copyIn(block, was[block] ?? 0);
    job.done += 1;
  }
  yield* pause(chance, msEach, 'ends');
  if (job.status === 'concluded') return;
  if (isCancelled) return give(machine, job, 'Operation canceled');
  if (ends === 'by itself') return give(machine, job, null);
  job.cancel = () => give(machine, job, 'Operation canceled');
  job.end = () => give(machine, job, null);
  wait(machine, job, 'pending');
}

/** Copies what the guest is about to write over, until it is cancelled. */
function watch(machine: Machine, { job, source, target, was }: Backup): void {
  const save = (node: BlockNode, block: number): void => {
    if (node === source && target.image?.content[block] === HOLE) target.image.copyIn(block, was[block] ?? 0);
  };
  machine.beforeWrite.add(save);
  job.cancel = () => {
    machine.beforeWrite.delete(save);
    give(machine, job, 'Operation canceled');
  };
}

function give(machine: Machine, job: Job, error: string | null): void {
  job.error = error;
  machine.graph.busy.delete(job.id);
  machine.graph.settle();
  conclude(machine, job);
}
