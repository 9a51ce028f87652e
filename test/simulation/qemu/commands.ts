import { optionalTextOf, type Shape, textOf } from './arguments.ts';
import { blockCommit, blockStream, COMMIT, STREAM } from './block-jobs.ts';
import { createInternal, deleteInternal } from './internal-snapshot.ts';
import { cancel, complete, dismiss, finalize } from './job.ts';
import type { Json, JsonObject } from './json.ts';
import type { Machine } from './machine.ts';
import { cancelMigration, migrate, migrationInfo } from './migration.ts';
import { blockdevAdd, setDrive } from './opening.ts';
import { QmpError } from './qmp-error.ts';
import { blocks, jobs, MACHINE_FACTS, nodes } from './queries.ts';
import { load, remove, runJob, save } from './snapshot-jobs.ts';
import { transaction } from './transaction.ts';
import { pause, type Work } from './work.ts';

interface Command {
  /** What QEMU's schema wants as arguments. */
  readonly shape: Shape;
  readonly run: (machine: Machine, args: JsonObject) => Work<Json>;
}

/** A command that takes no time worth speaking of. */
const atOnce = (shape: Shape, answer: (machine: Machine, args: JsonObject) => Json | void): Command => ({
  shape,
  // oxlint-disable-next-line require-yield -- takes no time
  *run(machine, args) {
    return answer(machine, args) ?? {};
  },
});

/** Opening and closing reads or writes the header of an image (reference: latencies). */
const OPEN_MS = 1.5;

const inTime = (shape: Shape, act: (machine: Machine, args: JsonObject) => void): Command => ({
  shape,
  *run(machine, args) {
    yield* pause(machine.surroundings.chance, OPEN_MS, 'opens or closes');
    act(machine, args);
    return {};
  },
});

const OF_A_JOB: Shape = { id: 'string' };

const SNAPSHOT_JOB: Shape = { 'job-id': 'string', tag: 'string', vmstate: 'string', devices: 'array' };

/** Everything this QEMU understands: what the product says to it, and no more. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  'query-status': atOnce({}, ({ status, isRunning }) => ({ status, singlestep: false, running: isRunning })),
  'query-block': atOnce({}, blocks),
  'query-named-block-nodes': atOnce({ '*flat': 'boolean' }, nodes),
  'query-jobs': atOnce({}, jobs),
  'query-block-jobs': atOnce({}, () => []),
  'query-migrate': atOnce({}, migrationInfo),
  'query-cpus-fast': atOnce({}, MACHINE_FACTS['query-cpus-fast']),
  'query-memory-size-summary': atOnce({}, MACHINE_FACTS['query-memory-size-summary']),
  'qom-get': atOnce({ path: 'string', property: 'string' }, (_, args) => MACHINE_FACTS['qom-get'](args)),
  'qom-list': atOnce({ path: 'string' }, MACHINE_FACTS['qom-list']),
  stop: atOnce({}, (machine) => machine.stop('paused')),
  cont: atOnce({}, (machine) => {
    if (machine.status === 'inmigrate') return undefined;
    if (machine.status === 'shutdown') throw new QmpError('Resetting the Virtual Machine is required');
    return machine.resume();
  }),
  system_reset: atOnce({}, (machine) => machine.reset()),
  'job-dismiss': atOnce(OF_A_JOB, (machine, args) => dismiss(machine, textOf(args, 'id'))),
  'job-finalize': atOnce(OF_A_JOB, (machine, args) => finalize(machine, textOf(args, 'id'))),
  'job-complete': atOnce(OF_A_JOB, (machine, args) => complete(machine, textOf(args, 'id'))),
  'job-cancel': atOnce(OF_A_JOB, (machine, args) => cancel(machine, textOf(args, 'id'))),
  'blockdev-add': inTime(
    {
      driver: 'string',
      'node-name': 'string',
      '*file': 'object',
      '*backing': 'nodeOrNull',
      '*read-only': 'boolean',
      '*size': 'number',
      '*read-zeroes': 'boolean',
    },
    blockdevAdd,
  ),
  'blockdev-del': inTime({ 'node-name': 'string' }, ({ graph }, args) =>
    graph.close(textOf(args, 'node-name')),
  ),
  'qom-set': atOnce({ path: 'string', property: 'string', value: 'string' }, setDrive),
  'block-stream': atOnce(STREAM, blockStream),
  'block-commit': atOnce(COMMIT, blockCommit),
  migrate: atOnce({ uri: 'string' }, migrate),
  migrate_cancel: atOnce({}, cancelMigration),
  'query-migrate-parameters': atOnce({}, ({ migrationBytesPerS }) => ({
    'max-bandwidth': migrationBytesPerS,
  })),
  'migrate-set-parameters': atOnce({ '*max-bandwidth': 'number' }, (machine, args) => {
    machine.migrationBytesPerS = Number(args['max-bandwidth']);
  }),
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
