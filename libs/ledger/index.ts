export {
  planCapture,
  type CapturePlan,
  type CaptureWish,
  type DiskMeans,
  type MemoryMeans,
} from './capture.ts';
export type { Command, CommandOf, FailedReport, Limits, Report } from './commands.ts';
export { captureOfEachDisk } from './create.ts';
export { decide } from './decide.ts';
export {
  type Astray,
  type Drift,
  type DriftCondition,
  driftConditions,
  knownDrift,
  FINDINGS_MAX,
  type Listed,
} from './drift.ts';
export { layersOf } from './delete.ts';
export { RegistryEvent, VmEvent, type DataOf, type VmEventOf, type VmEventType } from './events.ts';
export { evolve } from './evolve.ts';
export { afterwards, wishIn } from './foresee.ts';
export { chainUnder, changeOf, layersOn, planLayers, stoodOn, type Fold, type LayerPlan } from './layers.ts';
export { orphansIn } from './repair.ts';
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
export type { PlannedBackup, PlannedLayer } from './planned.ts';
export { MalformedEvent, readRegistryEvent, readVmEvent, SCHEMA_VERSION, UnknownEvent } from './read.ts';
export {
  FAILURE_CODES,
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
  AcceptedPlan,
  Backup,
  CaptureMode,
  Consistency,
  Disk,
  DiskCapture,
  DiskEvidence,
  DriftKind,
  Finding,
  IMAGE_DAMAGED,
  Labels,
  Layer,
  LayerChange,
  Leftover,
  MachineConfig,
  MachineFacts,
  MemoryFormat,
  Orphan,
  Outcome,
  PinWish,
  PlannedPin,
  Quiesced,
  Resume,
  SnapshotMemory,
  Standing,
  Step,
  Strategy,
  VmState,
} from './shapes.ts';
export {
  childrenOf,
  pinsOf,
  snapshotOfTag,
  subtreeOf,
  tagOf,
  tagOn,
  unborn,
  type Confidence,
  type OpenOperation,
  type Snapshot,
  type SnapshotDisk,
  type SnapshotStatus,
  type Vm,
  wrongChainIn,
} from './vm.ts';
