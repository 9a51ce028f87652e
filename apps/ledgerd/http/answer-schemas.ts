import { z } from 'zod';
import { CaptureMode, Consistency, Labels, Leftover, REFUSAL_CODES, Step, VmState } from '#ledger';
import { type LineageView, SNAPSHOT_STATUSES, type SnapshotView } from '#views';
import type { ShownOperation, ShownVm } from './shown.ts';

const id = z.string().describe('a UUID');
const time = z.string().describe('RFC 3339 in UTC');

const Current = z.strictObject({
  snapshotId: id.nullable(),
  confidence: z.enum(['known', 'assumed', 'unknown']),
});

const Vm = z.strictObject({
  id,
  name: z.string(),
  host: z.string(),
  monitor: z.string(),
  guestAgent: z.string().nullable(),
  labels: Labels,
  disks: z.array(
    z.strictObject({
      device: z.string(),
      node: z.string(),
      format: z.string(),
      file: z.string(),
      default: CaptureMode.nullable(),
    }),
  ),
  current: Current,
  operationId: id.nullable(),
  conditions: z.array(
    z.strictObject({ type: z.enum(['Held', 'Overdue']), reason: z.string(), message: z.string() }),
  ),
}) satisfies z.ZodType<ShownVm>;

const Snapshot = z.strictObject({
  id,
  vmId: id,
  name: z.string(),
  description: z.string(),
  parentId: id.nullable(),
  createdAt: time,
  status: z.enum(SNAPSHOT_STATUSES),
  vmState: VmState.nullable(),
  memory: z.strictObject({
    mode: CaptureMode,
    device: z.string().exactOptional(),
    sizeBytes: z.number().exactOptional(),
  }),
  disks: z.array(z.strictObject({ device: z.string(), mode: CaptureMode, file: z.string().exactOptional() })),
  consistency: Consistency.nullable(),
  implicit: z.boolean(),
  protected: z.boolean(),
  labels: Labels,
  current: z.boolean(),
}) satisfies z.ZodType<SnapshotView>;

const nextPageToken = z.string().describe('absent on the last page').exactOptional();
const totalSize = z.number().int();

const Lineage = z.strictObject({
  vmId: id,
  position: z.string(),
  current: Current,
  nodes: z.array(Snapshot.extend({ depth: z.number().int(), childCount: z.number().int() })),
  nextPageToken,
}) satisfies z.ZodType<LineageView>;

const Operation = z.strictObject({
  id,
  kind: z.enum(['create', 'load', 'delete', 'retire', 'unretire']),
  vmId: id,
  snapshotId: id.nullable(),
  done: z.boolean(),
  outcome: z.enum(['succeeded', 'failed', 'needs-operator']).nullable(),
  phase: z.string(),
  percent: z.number().nullable(),
  steps: z.array(Step),
  leftovers: z.array(Leftover).describe('one without a tag is an image to be repaired, never to be removed'),
  error: z.strictObject({ reason: z.string(), message: z.string(), retryable: z.boolean() }).exactOptional(),
  message: z.string(),
  response: z.strictObject({ snapshotId: id.nullable() }).exactOptional(),
}) satisfies z.ZodType<ShownOperation>;

const Status = z.strictObject({
  snapshottable: z.boolean(),
  reasons: z.array(z.string()),
  disks: z.array(
    z.strictObject({ device: z.string(), snapshottable: z.boolean(), reason: z.string().exactOptional() }),
  ),
});

const Entry = z.strictObject({
  at: time,
  actor: z.string(),
  action: z.string(),
  snapshotId: id.nullable(),
  name: z.string().nullable(),
  operationId: id.nullable(),
  outcome: z.enum(['succeeded', 'failed', 'needs-operator']),
  reason: z.string().exactOptional(),
});

const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  reason: z.enum(REFUSAL_CODES),
  retryable: z.boolean(),
  instance: z.string(),
});

/** Every shape an answer can have, under its name in the OpenAPI document. */
export const ANSWERS = {
  Vm,
  Vms: z.strictObject({ vms: z.array(Vm), totalSize, nextPageToken }),
  Snapshot,
  Snapshots: z.strictObject({ snapshots: z.array(Snapshot), totalSize, nextPageToken }),
  Lineage,
  Ancestors: z.strictObject({ snapshots: z.array(Snapshot), nextPageToken }),
  Status,
  History: z.strictObject({ entries: z.array(Entry), totalSize, nextPageToken }),
  Operation,
  Operations: z.strictObject({ operations: z.array(Operation), totalSize, nextPageToken }),
  Problem,
} as const;
export type AnswerName = keyof typeof ANSWERS;

/** The same as OpenAPI wants them. */
export const answerSchemas = (): Record<string, object> =>
  Object.fromEntries(
    Object.entries(ANSWERS).map(([name, shape]) => [name, z.toJSONSchema(shape, { target: 'openapi-3.0' })]),
  );
