import { CHAIN_START, type EventStore, seal, type SealedEvent } from '#event-store';
import { type DataOf, SCHEMA_VERSION, type VmEvent } from '#ledger';

/** How a machine's lineage has grown. */
export type Growth = 'chain' | 'star' | 'window';

/** Snapshots that the window keeps. */
const KEPT = 100;
const EVENTS_PER_APPEND = 2_000;
const STARTED_AT_MS = 1_700_000_000_000;
const DIGEST = 'd'.repeat(64);
const DEVICES = ['vda', 'vdb'];

/** The id of the n-th snapshot. */
export const idOf = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;

/** When the n-th event was recorded, in ms since 1970. */
export const recordedAtMs = (version: number): number => STARTED_AT_MS + version * 60_000;

/**
 * Records the life of one VM with very many snapshots, straight into an empty stream: `decide` would take an hour.
 * chain: each is the parent of the next. star: all are children of the first. window: each new one is the child of
 * the last, and the oldest is merged away when there are more than a hundred.
 */
export async function grow(
  store: EventStore,
  vmId: string,
  growth: Growth,
  snapshots: number,
): Promise<number> {
  const stream = new Stream(store, vmId);
  await stream.add(registered(vmId));
  for (let n = 1; n <= snapshots; n += 1) {
    const parent = n === 1 ? null : idOf(growth === 'star' ? 1 : n - 1);
    await stream.add(requested(n, parent), created(n));
    if (growth === 'window' && n > KEPT) await stream.add(toBeDeleted(n - KEPT), deleted(n - KEPT));
  }
  await stream.flush();
  return stream.version;
}

class Stream {
  version = 0;
  readonly #store: EventStore;
  readonly #name: string;
  #hash = CHAIN_START.hash;
  #waiting: SealedEvent[] = [];

  constructor(store: EventStore, vmId: string) {
    this.#store = store;
    this.#name = `vm-${vmId}`;
  }

  async add(...events: readonly VmEvent[]): Promise<void> {
    for (const { type, data } of events) {
      this.version += 1;
      const id = `00000000-0000-7000-9000-${String(this.version).padStart(12, '0')}`;
      const at = {
        version: String(this.version),
        recordedAt: new Date(recordedAtMs(this.version)).toISOString(),
      };
      const by = { actor: 'http:bench', correlationId: id, causationId: '', commandId: '' };
      const kind = { commandDigest: DIGEST, schemaVersion: SCHEMA_VERSION };
      const sealed = seal({ id, type, stream: this.#name, ...at, ...by, ...kind, data }, this.#hash);
      this.#hash = sealed.hash;
      this.#waiting.push(sealed);
    }
    if (this.#waiting.length >= EVENTS_PER_APPEND) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const sealed = this.#waiting;
    this.#waiting = [];
    await this.#store.append(this.#name, this.version - sealed.length, sealed);
  }
}

const fact = <T extends VmEvent['type']>(type: T, data: DataOf<T>) => ({ type, data }) as VmEvent;

const registered = (vmId: string): VmEvent =>
  fact('VmRegistered', {
    ...{ vmId, name: vmId, host: 'bench', monitor: `/run/${vmId}.sock`, guestAgent: null, labels: {} },
    ...{ disks: [], foreignTags: [] },
  });

const operationOf = (n: number): string => `create-${n}`;

const requested = (n: number, parentId: string | null): VmEvent =>
  fact('SnapshotRequested', {
    ...{ snapshotId: idOf(n), operationId: operationOf(n), name: `nightly ${n}`, nameGiven: true },
    ...{ description: '', labels: { tier: 'bench' }, parentId, diskOnly: true },
    disks: DEVICES.map((device) => ({ device, mode: 'internal' as const })),
  });

const created = (n: number): VmEvent =>
  fact('SnapshotCreated', {
    ...{ snapshotId: idOf(n), operationId: operationOf(n), vmState: 'running', memory: { mode: 'none' } },
    evidence: DEVICES.map((device) => ({
      ...{ device, file: `/images/${device}.qcow2`, tag: `sl-${idOf(n)}`, nativeId: '1' },
      ...{ date: 0, vmClockNs: 0, vmStateSizeBytes: 0 },
    })),
    ...{ consistency: 'crash', steps: [], transcriptDigest: DIGEST },
  });

const toBeDeleted = (n: number): VmEvent =>
  fact('DeleteRequested', {
    ...{ snapshotId: idOf(n), operationId: `delete-${n}`, strategy: 'merge', targets: [idOf(n)] },
  });

const deleted = (n: number): VmEvent =>
  fact('SnapshotDeleted', {
    ...{ snapshotId: idOf(n), operationId: `delete-${n}`, steps: [], transcriptDigest: DIGEST },
  });
