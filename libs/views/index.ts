export { type NotCompared, type TableDifference, type ViewsCompared, ViewsCheck } from './check.ts';
export { rebuildViews } from './rebuild.ts';
export { foreseenTree, type ForeseenTree, type Unborn } from './show/foreseen.ts';
export type { LineageQuery } from './show/lineage.ts';
export { operationFromRequest, type OperationsQuery } from './show/operations.ts';
export { type Page, PAGE_SIZE_MAX } from './show/page.ts';
export type { At } from './show/places.ts';
export type { SnapshotsQuery } from './show/snapshot-list.ts';
export type { VmsQuery } from './show/vms.ts';
export { openViews, type Views, type ViewsOptions } from './views.ts';
export type { ViewsNotice, ViewsState } from './write/keeper.ts';
export {
  SNAPSHOT_STATUSES,
  type Condition,
  type CurrentView,
  type DiskView,
  type HistoryAction,
  type HistoryEntry,
  type LineageNode,
  type LineageView,
  type MemoryView,
  type OperationKind,
  type OperationOutcome,
  type OperationView,
  type Shown,
  type SnapshotDiskView,
  type SnapshotStanding,
  type SnapshotView,
  type VmView,
} from './shapes.ts';
