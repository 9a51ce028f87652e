export { openViews, type Views } from './replayed/views.ts';
export { operationFromRequest } from './replayed/operation-view.ts';
export { rebuildViews } from './replayed/rebuild.ts';
export { type Page } from './replayed/pages.ts';
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
