export { planCapture, type CaptureMeans, type CapturePlan, type CaptureWish } from './capture.ts';
export type { Command, CommandOf, FailedReport, Limits, Report } from './commands.ts';
export { captureOfEachDisk } from './create.ts';
export { decide } from './decide.ts';
export { RegistryEvent, VmEvent, type DataOf, type VmEventOf, type VmEventType } from './events.ts';
export { evolve } from './evolve.ts';
export { heldAfterLoad, heldAfterRemoval, heldBy, isSameLeftover, type Hold } from './hold.ts';
export {
  bytesOf,
  DESCRIPTION_BYTES_MAX,
  isUuidShaped,
  LABEL_KEY_BYTES_MAX,
  LABEL_VALUE_BYTES_MAX,
  LABELS_MAX,
  madeUpName,
  NAME_BYTES_MAX,
  requireName,
  whyNoName,
} from './names.ts';
export { MalformedEvent, readRegistryEvent, readVmEvent, SCHEMA_VERSION, UnknownEvent } from './read.ts';
export {
  FAILURE_CODES,
  isFailureCode,
  isRetryable,
  Refusal,
  REFUSAL_CODES,
  type FailureCode,
  type RefusalCode,
  type RefusalDetails,
} from './refusal.ts';
export {
  decideRegistry,
  emptyRegistry,
  evolveRegistry,
  type Claim,
  type Registry,
  type RegistryCommand,
} from './registry.ts';
export {
  CaptureMode,
  Consistency,
  Disk,
  DiskCapture,
  DiskEvidence,
  IMAGE_DAMAGED,
  Labels,
  Leftover,
  Outcome,
  Resume,
  Step,
  Strategy,
  VmState,
} from './shapes.ts';
export {
  childrenOf,
  snapshotOfTag,
  subtreeOf,
  tagOf,
  unborn,
  type Confidence,
  type OpenOperation,
  type Snapshot,
  type SnapshotStatus,
  type Vm,
} from './vm.ts';
