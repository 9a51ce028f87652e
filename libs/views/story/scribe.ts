import { CHAIN_START, type ChainEnd, type Envelope, type EventStore, seal } from '#event-store';
import {
  type Command,
  type DataOf,
  decide,
  type Disk,
  evolve,
  Refusal,
  SCHEMA_VERSION,
  type Strategy,
  unborn,
  type Vm,
  type VmEvent,
} from '#ledger';
import { rfc3339 } from '#world';

/** Test-only. An event on its way into the log. */
export type Written = VmEvent & Omit<Envelope, 'type' | 'data'>;

interface Stream extends ChainEnd {
  readonly recordedAt: string;
  readonly vm: Vm;
}

/** What people and the worker do, written down as `handle` would: decided on, sealed and appended. */
export class Scribe {
  /** Milliseconds since 1970. May be put back: recorded times never go back. */
  now = 1_795_000_000_000;
  /** What was recorded last, by the stream it stands in. */
  readonly written: Written[] = [];
  readonly #store: EventStore;
  readonly #streams = new Map<string, Stream>();
  #events = 0;

  constructor(store: EventStore) {
    this.#store = store;
  }

  vm(vmId: string): Vm {
    return this.#streams.get(`vm-${vmId}`)?.vm ?? unborn();
  }

  /** The events that were recorded; none when the command changes nothing or is refused. */
  async ask(vmId: string, command: Command, actor = 'http:ann'): Promise<readonly Written[]> {
    const events = decided(command, this.vm(vmId));
    const correlationId =
      operationIn(command) ?? this.vm(vmId).operation?.id ?? `${command.type}-${this.#events}`;
    return await this.write(`vm-${vmId}`, events, { actor, correlationId });
  }

  /** Records events whatever may be thought of them. */
  async write(
    stream: string,
    events: readonly VmEvent[],
    { actor = 'http:ann', correlationId = `c-${this.#events}` } = {},
  ): Promise<readonly Written[]> {
    if (events.length === 0) return [];
    const before = this.#streams.get(stream) ?? { ...CHAIN_START, recordedAt: '', vm: unborn() };
    const now = rfc3339(this.now);
    const recordedAt = now > before.recordedAt ? now : before.recordedAt;
    let { hash, vm } = before;
    const written = events.map((event, index) => {
      this.#events += 1;
      const version = String(before.version + 1 + index);
      const by = { actor, correlationId, causationId: '', commandId: '', commandDigest: '' };
      return {
        ...event,
        id: `e-${this.#events}`,
        stream,
        version,
        recordedAt,
        ...by,
        schemaVersion: SCHEMA_VERSION,
      };
    });
    const sealed = written.map((event) => {
      vm = evolve(vm, structuredClone(event));
      const next = seal(event, hash);
      hash = next.hash;
      return next;
    });
    await this.#store.append(stream, before.version, sealed);
    this.#streams.set(stream, { version: before.version + events.length, hash, recordedAt, vm });
    this.written.push(...written);
    return written;
  }
}

function decided(command: Command, vm: Vm): readonly VmEvent[] {
  try {
    return decide(command, structuredClone(vm));
  } catch (error) {
    if (error instanceof Refusal) return [];
    throw error;
  }
}

const operationIn = (command: Command): string | null =>
  'operationId' in command ? command.operationId : null;

const disk = (device: string): Disk => ({
  ...{ device, node: `node-${device}`, format: 'qcow2', file: `/images/${device}.qcow2` },
  ...{ readOnly: false, default: 'internal' },
});

export const registration = (
  vmId: string,
  more: Partial<DataOf<'VmRegistered'>> = {},
): DataOf<'VmRegistered'> => ({
  vmId,
  name: `vm ${vmId}`,
  host: 'host-1',
  monitor: `/run/${vmId}.qmp`,
  guestAgent: null,
  labels: {},
  disks: [disk('vda'), disk('vdb')],
  foreignTags: [],
  ...more,
});

export const register = (vmId: string): Command => ({ type: 'RegisterVm', registration: registration(vmId) });

const LIMITS = { snapshotsMax: Number.MAX_SAFE_INTEGER };

export const create = (id: string, more: Partial<Command & { type: 'CreateSnapshot' }> = {}): Command => ({
  ...{ type: 'CreateSnapshot', snapshotId: id, operationId: `create-${id}`, name: id, limits: LIMITS },
  ...more,
});

export const start = (vm: Vm): Command => ({
  type: 'StartOperation',
  start: {
    ...{ operationId: vm.operation?.id ?? '', snapshotId: vm.operation?.snapshotId ?? null, worker: 'w' },
    ...{ wasRunning: true, nodes: {}, files: {}, plan: [], undo: [], vmState: 'running', memory: 'none' },
  },
});

/** The worker's good news about the operation that is open. */
export function success(vm: Vm): Command {
  const { id: operationId = '', kind = 'create', snapshotId = '' } = vm.operation ?? {};
  const at = '2026-11-21T12:00:00.000Z';
  const steps = [{ name: kind, state: 'done' as const, startedAt: at, endedAt: at }];
  const done = { operationId, steps, transcriptDigest: '' };
  switch (kind) {
    case 'create':
      return { type: 'ReportCreated', created: { ...done, ...captureOf(snapshotId ?? '') } };
    case 'load':
      return { type: 'ReportLoaded', loaded: { ...done, runs: true } };
    case 'delete':
      return { type: 'ReportDeleted', deleted: done };
  }
}

/** The disk vdc was plugged in since: the capture covers it too. */
const captureOf = (snapshotId: string) => ({
  ...{ vmState: 'running' as const, memory: { mode: 'internal' as const, device: 'vdb', sizeBytes: 4_096 } },
  consistency: 'memory' as const,
  evidence: ['vda', 'vdb', 'vdc'].map((device) => ({
    ...{ device, file: `/images/${device}.qcow2`, tag: `sl-${snapshotId}`, nativeId: '1' },
    ...{ date: 0, vmClockNs: 0, vmStateSizeBytes: 0 },
  })),
});

export const failure = (vm: Vm, outcome: 'undone' | 'held', devices: readonly string[] = []): Command => ({
  type: 'ReportFailed',
  failed: {
    ...{ operationId: vm.operation?.id ?? '', reason: 'machine-gone', message: 'QEMU died', outcome },
    leftovers: devices.map((device) => ({
      device,
      file: `/images/${device}.qcow2`,
      tag: 'sl-x',
      why: 'locked',
    })),
    ...{ steps: [], transcriptDigest: '' },
  },
});

export const load = (snapshotId: string, operationId: string): Command => ({
  ...{ type: 'LoadSnapshot', snapshotId, operationId },
});

export const remove = (snapshotId: string, operationId: string, strategy: Strategy): Command => ({
  ...{ type: 'DeleteSnapshot', snapshotId, operationId, strategy },
});
