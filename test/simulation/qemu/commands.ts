import { optionalTextOf, type Shape, textOf } from './arguments.ts';
import { createInternal, deleteInternal } from './internal-snapshot.ts';
import type { Json, JsonObject } from './json.ts';
import type { Machine } from './machine.ts';
import { QmpError } from './qmp-error.ts';
import { blocks, jobs, nodes } from './queries.ts';
import { dismiss, load, remove, runJob, save } from './snapshot-jobs.ts';
import { transaction } from './transaction.ts';
import type { Work } from './work.ts';

interface Command {
  /** What QEMU's schema wants as arguments. */
  readonly shape: Shape;
  readonly run: (machine: Machine, args: JsonObject) => Work<Json>;
}

/** A command that takes no time worth speaking of. */
const atOnce = (shape: Shape, answer: (machine: Machine, args: JsonObject) => Json | undefined): Command => ({
  shape,
  // oxlint-disable-next-line require-yield -- takes no time
  *run(machine, args) {
    return answer(machine, args) ?? {};
  },
});

const SNAPSHOT_JOB: Shape = { 'job-id': 'string', tag: 'string', vmstate: 'string', devices: 'array' };

/** Everything this QEMU understands: what the product says to it, and no more. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  'query-status': atOnce({}, ({ status, isRunning }) => ({ status, singlestep: false, running: isRunning })),
  'query-block': atOnce({}, blocks),
  'query-named-block-nodes': atOnce({ '*flat': 'boolean' }, nodes),
  'query-jobs': atOnce({}, jobs),
  'query-block-jobs': atOnce({}, () => []),
  'query-migrate': atOnce({}, () => ({})),
  stop: atOnce({}, (machine) => void machine.stop('paused')),
  cont: atOnce({}, (machine) => {
    if (machine.status === 'shutdown') throw new QmpError('Resetting the Virtual Machine is required');
    return void machine.resume();
  }),
  'job-dismiss': atOnce({ id: 'string' }, (machine, args) => void dismiss(machine, textOf(args, 'id'))),
  transaction: { shape: { actions: 'array' }, run: transaction },
  'blockdev-snapshot-internal-sync': {
    shape: { device: 'string', name: 'string' },
    *run(machine, args) {
      yield* createInternal(machine, textOf(args, 'device'), textOf(args, 'name'));
      return {};
    },
  },
  'blockdev-snapshot-delete-internal-sync': {
    shape: { device: 'string', '*id': 'string', '*name': 'string' },
    run: (machine, args) =>
      deleteInternal(machine, textOf(args, 'device'), {
        id: optionalTextOf(args, 'id'),
        name: optionalTextOf(args, 'name'),
      }),
  },
  'snapshot-save': { shape: SNAPSHOT_JOB, run: (...all) => runJob('snapshot-save', save, ...all) },
  'snapshot-load': { shape: SNAPSHOT_JOB, run: (...all) => runJob('snapshot-load', load, ...all) },
  'snapshot-delete': {
    shape: { 'job-id': 'string', tag: 'string', devices: 'array' },
    run: (...all) => runJob('snapshot-delete', remove, ...all),
  },
};
