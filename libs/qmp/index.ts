export { openMonitor } from './open.ts';
export type {
  ExecuteOptions,
  JobArguments,
  JobOptions,
  Monitor,
  OpenOptions,
  QmpArguments,
  QmpEvent,
  QmpListener,
  QmpVersion,
} from './monitor.ts';
export {
  MonitorTrouble,
  type MonitorTroubleKind,
  QmpGarbled,
  QmpRefused,
  QmpUnknown,
  type UnknownCause,
} from './trouble.ts';
export { isCanceled } from './job-changes.ts';
export { dismissJob, jobOf } from './job.ts';
export { classifyRefusal, type RefusalCategory } from './refusal.ts';
export type { TranscriptEntry } from './transcript.ts';
export {
  parseHumanText,
  parseJobs,
  parseMigration,
  parseMigrationLimits,
  parseStatus,
  type BlockCommit,
  type BlockdevAdd,
  type BlockdevAddNull,
  type BlockdevBackup,
  type BlockdevDel,
  type BlockStream,
  type DeleteInternalSnapshot,
  type ImageOptions,
  type JobStatus,
  type Migrate,
  type Migration,
  type MigrationStatus,
  type QmpJob,
  type RunState,
  type SetDrive,
  type SetMigrationLimits,
  type SnapshotLoad,
  type SnapshotSave,
  type Transaction,
  type TransactionAction,
} from './commands.ts';
export {
  parseBlocks,
  parseChains,
  parseImage,
  parseNodes,
  type BlockDevice,
  type BlockNode,
  type DiskSnapshot,
  type ImageInfo,
} from './blocks.ts';
export {
  parseChildren,
  parseCpus,
  parseMemorySize,
  parseType,
  releaseOf,
  type GetType,
  type ObjectChild,
} from './machine.ts';
export {
  fakeMonitor,
  fakeRefusal,
  fakeSilence,
  type FakeCall,
  type FakeHandler,
  type FakeMonitor,
  type FakeScript,
} from './fake/fake-monitor.ts';
export type { FakeCommand, FakeDeath } from './fake/talk.ts';
