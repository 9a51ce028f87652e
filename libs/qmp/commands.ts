/*
 * The commands this product speaks, with the lines of QEMU's schema (7.2) that we rely on. A parser takes what
 * `Monitor.execute` resolved with and throws `QmpGarbled` when it has another shape.
 */
import { Reply } from './reply.ts';

// { 'enum': 'RunState', 'data': [ 'debug', 'inmigrate', ... ] }
const RUN_STATES = [
  'debug',
  'inmigrate',
  'internal-error',
  'io-error',
  'paused',
  'postmigrate',
  'prelaunch',
  'finish-migrate',
  'restore-vm',
  'running',
  'save-vm',
  'shutdown',
  'suspended',
  'watchdog',
  'guest-panicked',
  'colo',
] as const;
export type RunState = (typeof RUN_STATES)[number];

// { 'command': 'query-status', 'returns': 'StatusInfo' }
// { 'struct': 'StatusInfo', 'data': { 'running': 'bool', 'singlestep': 'bool', 'status': 'RunState' } }
export const parseStatus = (reply: unknown): RunState =>
  new Reply(reply, 'query-status').member('status').oneOf(RUN_STATES);

// { 'enum': 'JobStatus', 'data': [ 'undefined', 'created', ... ] }
const JOB_STATUSES = [
  'undefined',
  'created',
  'running',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'aborting',
  'concluded',
  'null',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

export interface QmpJob {
  readonly id: string;
  /** E.g. `snapshot-save`. */
  readonly type: string;
  readonly status: JobStatus;
  /** Why it failed, in QEMU's words; null when it did not, or not yet. */
  readonly error: string | null;
  /** 0 to 100, rounded down. QEMU may move the goal while it runs. */
  readonly percent: number;
}

// { 'command': 'query-jobs', 'returns': ['JobInfo'] }
// { 'struct': 'JobInfo', 'data': { 'id': 'str', 'type': 'JobType', 'status': 'JobStatus',
//     'current-progress': 'int', 'total-progress': 'int', '*error': 'str' } }
export const parseJobs = (reply: unknown): QmpJob[] =>
  new Reply(reply, 'query-jobs').items().map((job) => ({
    id: job.member('id').text(),
    type: job.member('type').text(),
    status: job.member('status').oneOf(JOB_STATUSES),
    error: job.optional('error')?.text() ?? null,
    percent: percentOf(job.member('current-progress').number(), job.member('total-progress').number()),
  }));

const percentOf = (done: number, total: number): number =>
  total > 0 ? Math.max(0, Math.min(100, Math.floor((100 * done) / total))) : 0;

// { 'enum': 'MigrationStatus', 'data': [ 'none', 'setup', ... ] }
const MIGRATION_STATUSES = [
  'none',
  'setup',
  'cancelling',
  'cancelled',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover',
  'completed',
  'failed',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
] as const;
export type MigrationStatus = (typeof MIGRATION_STATUSES)[number];

export interface Migration {
  readonly status: MigrationStatus;
  /** Why it failed, in QEMU's words. */
  readonly error: string | null;
  /** How much of the memory was sent, 0 to 100, rounded down. */
  readonly percent: number;
}

// { 'command': 'query-migrate', 'returns': 'MigrationInfo' }
// { 'struct': 'MigrationInfo', 'data': { '*status': 'MigrationStatus', '*error-desc': 'str', '*ram': 'MigrationStats', ... } }
// { 'struct': 'MigrationStats', 'data': { 'remaining': 'int', 'total': 'int', ... } }
/** A machine that never migrated says nothing at all: `none`. */
export function parseMigration(reply: unknown): Migration {
  const migration = new Reply(reply, 'query-migrate');
  return {
    status: migration.optional('status')?.oneOf(MIGRATION_STATUSES) ?? 'none',
    error: migration.optional('error-desc')?.text() ?? null,
    percent: sentOf(migration.optional('ram')),
  };
}

function sentOf(ram: Reply | null): number {
  const totalBytes = ram?.optional('total')?.number() ?? 0;
  return percentOf(totalBytes - (ram?.optional('remaining')?.number() ?? 0), totalBytes);
}

// { 'command': 'migrate', 'data': { 'uri': 'str', ... } }
/** Never `exec:`, which is a shell. */
export type Migrate = { readonly uri: `unix:${string}` };

// { 'command': 'query-migrate-parameters', 'returns': 'MigrationParameters' }
// { 'command': 'migrate-set-parameters', 'data': 'MigrateSetParameters' }
// { 'struct': 'MigrateSetParameters', 'data': { '*max-bandwidth': 'size', ... } }
/** Bytes per second. */
export type SetMigrationLimits = { readonly 'max-bandwidth': number };
/** How many bytes per second a migration may send. */
export const parseMigrationLimits = (reply: unknown): number =>
  new Reply(reply, 'query-migrate-parameters').member('max-bandwidth').number();

// { 'command': 'human-monitor-command', 'data': { 'command-line': 'str', '*cpu-index': 'int' }, 'returns': 'str' }
/** The text the command printed. What went wrong stands in it as well, after `Error: `: HMP never refuses. */
export const parseHumanText = (reply: unknown): string => new Reply(reply, 'human-monitor-command').text();

// { 'command': 'transaction', 'data': { 'actions': ['TransactionAction'], '*properties': 'TransactionProperties' } }
// { 'struct': 'BlockdevSnapshotInternal', 'data': { 'device': 'str', 'name': 'str' } }
// { 'struct': 'BlockdevSnapshot', 'data': { 'node': 'str', 'overlay': 'str' } }
// { 'struct': 'Abort', 'data': {} }
/** No `properties` here: with `completion-mode: grouped` a failing transaction can hang this QEMU for ever. */
export type Transaction = { readonly actions: readonly TransactionAction[] };
export type TransactionAction =
  | {
      readonly type: 'blockdev-snapshot-internal-sync';
      readonly data: { readonly device: string; readonly name: string };
    }
  | { readonly type: 'blockdev-snapshot'; readonly data: { readonly node: string; readonly overlay: string } }
  | { readonly type: 'blockdev-backup'; readonly data: BlockdevBackup }
  | { readonly type: 'abort'; readonly data: Readonly<Record<string, never>> };

// { 'command': 'snapshot-save', 'data': { 'job-id': 'str', 'tag': 'str', 'vmstate': 'str', 'devices': ['str'] } }
// { 'command': 'snapshot-load', 'data': { 'job-id': 'str', 'tag': 'str', 'vmstate': 'str', 'devices': ['str'] } }
/** `devices` are node names, and QEMU does them in this order. */
export type SnapshotSave = {
  readonly 'job-id': string;
  readonly tag: string;
  readonly vmstate: string;
  readonly devices: readonly string[];
};
export type SnapshotLoad = SnapshotSave;

// { 'command': 'blockdev-snapshot-delete-internal-sync', 'data': { 'device': 'str', '*id': 'str', '*name': 'str' },
//   'returns': 'SnapshotInfo' }
/** By name only: QEMU's own ids start anew when a list has become empty. */
export type DeleteInternalSnapshot = { readonly device: string; readonly name: string };

// { 'command': 'blockdev-add', 'data': 'BlockdevOptions' }
/** With `backing: null` the file is opened without the one it stands on; left out, its header says what to open. */
/**
 * What an image is opened with, as far as QEMU tells of it: it does not of `aio`, and of `discard` only where
 * `detect-zeroes` cannot be without it (7.2).
 */
export type ImageOptions = {
  readonly cache?: { readonly direct: boolean; readonly 'no-flush': boolean };
  readonly 'detect-zeroes'?: string;
  readonly discard?: 'unmap';
};

export type BlockdevAdd = ImageOptions & {
  readonly driver: string;
  readonly 'node-name': string;
  readonly file: { readonly driver: string; readonly filename: string };
  readonly backing?: string | null;
  readonly 'read-only'?: boolean;
};
/** Reads zeros, keeps nothing: what a device holds while its image is closed. */
export type BlockdevAddNull = ImageOptions & {
  readonly driver: 'null-co';
  readonly 'node-name': string;
  readonly size: number;
  readonly 'read-zeroes': true;
};

// { 'command': 'blockdev-del', 'data': { 'node-name': 'str' } }
export type BlockdevDel = { readonly 'node-name': string };

// { 'command': 'qom-set', 'data': { 'path': 'str', 'property': 'str', 'value': 'any' } }
/** Puts another image under a device. Only while the machine stands still: nothing tells the guest. */
export type SetDrive = { readonly path: string; readonly property: 'drive'; readonly value: string };

// { 'command': 'block-stream', 'data': { '*job-id': 'str', 'device': 'str', '*base-node': 'str',
//     '*backing-file': 'str', ... } }
/**
 * `backing-file` is what the header is to name: left out, QEMU writes whatever it calls the base itself. It does so
 * when the job is finalized, and QEMU 7.2 before the copies are on disk: flush first, or a QEMU that is killed then
 * has lost them without a trace. It dies of `query-named-block-nodes` while a stream is listed that has concluded,
 * whose filter stands on nothing by then: it must dismiss itself.
 */
export type BlockStream = {
  readonly 'job-id': string;
  readonly device: string;
  readonly 'base-node'?: string;
  readonly 'backing-file'?: string;
  readonly 'auto-finalize': false;
  readonly 'auto-dismiss': true;
};

// { 'command': 'block-commit', 'data': { '*job-id': 'str', 'device': 'str', '*base-node': 'str',
//     '*top-node': 'str', '*backing-file': 'str', ... } }
/** Without `top-node` all is committed, and the job waits to be completed. `backing-file` as in `BlockStream`. */
export type BlockCommit = {
  readonly 'job-id': string;
  readonly device: string;
  readonly 'base-node': string;
  readonly 'top-node'?: string;
  readonly 'backing-file'?: string;
  readonly 'auto-finalize'?: false;
  readonly 'auto-dismiss': false;
};

// { 'struct': 'BlockdevBackup', 'base': 'BackupCommon', 'data': { 'target': 'str' } }
// { 'enum': 'MirrorSyncMode', 'data': ['top', 'full', 'none', 'incremental', 'bitmap'] }
/**
 * With `auto-finalize` QEMU 7.2 takes its filter out of the graph while it may answer somebody's `query-block`, and dies
 * of a filter that stands on nothing (`bdrv_cbw_refresh_filename`). Told by `job-finalize`, it answers nobody meanwhile.
 */
export type BlockdevBackup = {
  readonly 'job-id': string;
  readonly device: string;
  readonly target: string;
  readonly sync: 'full' | 'top' | 'none';
  readonly 'auto-finalize': false;
  readonly 'auto-dismiss': false;
};

// { 'command': 'stop' }
// { 'command': 'cont' }
// { 'command': 'job-dismiss', 'data': { 'id': 'str' } }
// These return {} and need no parser.
