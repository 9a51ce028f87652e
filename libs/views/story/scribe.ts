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
import { captured, folded, leftBehind, loadedFrom, pinned } from './host.ts';

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

const LIMITS = { snapshotsMax: Number.MAX_SAFE_INTEGER, chainMax: 64 };

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

/** The worker's good news about the operation that is open. A load saves the present first, if it is to. */
export function success(vm: Vm): Command {
  const { operation } = vm;
  const at = '2026-11-21T12:00:00.000Z';
  const steps = [{ name: operation?.kind ?? '', state: 'done' as const, startedAt: at, endedAt: at }];
  const done = { operationId: operation?.id ?? '', steps, transcriptDigest: '' };
  switch (operation?.kind) {
    case undefined:
      return { type: 'ReportCreated', created: { ...done, ...captured(vm, { id: '', disks: [] }) } };
    case 'create': {
      const { memory, disks } = operation.request;
      // The disk vdc was plugged in since.
      const capture = captured(vm, { id: operation.snapshotId, disks, memory, added: ['vdc'] });
      return { type: 'ReportCreated', created: { ...done, ...capture } };
    }
    case 'load': {
      if (operation.request.pin && !operation.isPinned) return pinned(vm, operation);
      const { layers, replaced } = loadedFrom(vm, operation);
      return { type: 'ReportLoaded', loaded: { ...done, runs: true, layers }, replaced };
    }
    case 'delete':
      return { type: 'ReportDeleted', deleted: { ...done, layers: folded(vm, operation) } };
  }
}

/** All that a load was to bring back is in place. */
export function content(vm: Vm, operation: Extract<Vm['operation'], { kind: 'load' }>): Command {
  const { layers } = loadedFrom(vm, operation);
  return {
    type: 'ReportContentLoaded',
    content: { operationId: operation.id, layers: { ...layers, gone: [] } },
  };
}

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
    ...(outcome === 'held' && { layers: leftBehind(vm) }),
    ...{ steps: [], transcriptDigest: '' },
  },
});

/** `pin`: the id that what is saved of the present gets. */
export const load = (snapshotId: string, operationId: string, pin?: string): Command => ({
  ...{ type: 'LoadSnapshot', snapshotId, operationId },
  ...(pin !== undefined && { pin: { snapshotId: pin, what: 'disks' as const } }),
});

export const remove = (snapshotId: string, operationId: string, strategy: Strategy): Command => ({
  ...{ type: 'DeleteSnapshot', snapshotId, operationId, strategy },
});
