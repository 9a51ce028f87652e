import { z } from 'zod';
import {
  CaptureMode,
  Consistency,
  Finding,
  Labels,
  Leftover,
  MemoryFormat,
  Orphan,
  REFUSAL_CODES,
  Step,
  VmState,
} from '#ledger';
import { type LineageView, SNAPSHOT_STATUSES, type SnapshotView } from '#views';
import { PLAN_NODES_MAX, type ShownPlan } from './plans.ts';
import type { ShownDrift, ShownOperation, ShownRepair, ShownVm } from './shown.ts';

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
      readOnly: z.literal(true).exactOptional(),
    }),
  ),
  current: Current,
  operationId: id.nullable(),
  conditions: z.array(
    z.strictObject({
      type: z.enum(['Held', 'WrongChain', 'Drift', 'Overdue', 'MonitorHeld']),
      reason: z.string(),
      message: z.string(),
    }),
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
    file: z.string().exactOptional(),
    format: MemoryFormat.exactOptional(),
    sizeBytes: z.number().exactOptional(),
    sha256: z.string().exactOptional(),
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

const LineageNode = Snapshot.extend({ depth: z.number().int(), childCount: z.number().int() });

const Lineage = z.strictObject({
  vmId: id,
  position: z.string(),
  current: Current,
  nodes: z.array(LineageNode),
  nextPageToken,
}) satisfies z.ZodType<LineageView>;

const Planned = z.strictObject({
  plan: z.strictObject({
    hash: z
      .string()
      .describe('as planHash of the same request: it does just this, or is refused with plan-changed'),
    commands: z.array(z.string()).describe('what is done, in words, in order'),
    filesCreated: z
      .array(z.string())
      .describe(
        'absolute paths; those that nobody named are called so only if the request comes with the hash',
      ),
    filesUnlinked: z.array(z.string()).describe('absolute paths'),
    snapshotsDiscarded: z
      .array(id)
      .describe('those whose data goes besides the one asked for, replaced pins among them'),
    bytes: z.number().int().describe('how much is copied or written, at most'),
    stops: z.strictObject({
      machine: z.boolean().describe('whether a machine that runs is made to stand still'),
      estimatedMs: z.number().int().describe('for how long in all, roughly; 0 when it does not stop'),
    }),
    tree: z
      .array(LineageNode)
      .describe(
        `the lineage as it would be, without pins, each node after its parent; ${PLAN_NODES_MAX} at most`,
      ),
    treeSize: totalSize.describe('how many nodes the tree would have in all'),
  }),
}) satisfies z.ZodType<{ plan: ShownPlan }>;

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

const Drift = z.strictObject({
  vmId: id,
  stopped: z
    .boolean()
    .describe('whether the machine ran on a wrong chain, or on nothing, and stands still for it now'),
  findings: z.array(Finding),
  unlisted: z.number().int().describe('how many more there are; they are listed when some of these are gone'),
}) satisfies z.ZodType<ShownDrift>;

const Repair = z.strictObject({
  vmId: id,
  plan: z
    .strictObject({
      hash: z.string().describe('as planHash of the same request: it removes just this, or nothing'),
      commands: z
        .array(z.string())
        .describe('what is done, in words, in order; empty: nothing is to be done'),
      filesUnlinked: z.array(z.string()).describe('absolute paths'),
    })
    .describe('what a repair would do now'),
  removed: z.array(Orphan),
  left: z.array(Orphan.extend({ why: z.string() })),
}) satisfies z.ZodType<ShownRepair>;

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
  Drift,
  Repair,
  Adoption: z.strictObject({ snapshots: z.array(Snapshot), left: z.array(Finding) }),
  History: z.strictObject({ entries: z.array(Entry), totalSize, nextPageToken }),
  Operation,
  Planned,
  Operations: z.strictObject({ operations: z.array(Operation), totalSize, nextPageToken }),
  Problem,
} as const;
export type AnswerName = keyof typeof ANSWERS;

/** The same as OpenAPI wants them. */
export const answerSchemas = (): Record<string, object> =>
  Object.fromEntries(
    Object.entries(ANSWERS).map(([name, shape]) => [name, z.toJSONSchema(shape, { target: 'openapi-3.0' })]),
  );
