import { createHash } from 'node:crypto';
import {
  emptyRegistry,
  evolve,
  evolveRegistry,
  readRegistryEvent,
  readVmEvent,
  type Snapshot,
  unborn,
  type Vm,
} from '#ledger';

/** One line of a log. */
export interface StoredRecord {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly version: string;
  readonly schemaVersion: string;
  readonly data: unknown;
}

export const recordOf = (line: string): StoredRecord => JSON.parse(line) as StoredRecord;

/** What a log means to the code of today, in the words of the product. */
export function summaryOf(lines: readonly string[]): object {
  const vms = new Map<string, Vm>();
  const chains = new Map<string, string>();
  let registry = emptyRegistry();
  for (const line of lines) {
    const { id, type, stream, schemaVersion, data } = recordOf(line);
    chains.set(stream, hashOf(chains.get(stream) ?? '0'.repeat(64), line));
    if (stream === 'registry')
      registry = evolveRegistry(registry, readRegistryEvent(type, schemaVersion, data));
    else
      vms.set(stream, evolve(vms.get(stream) ?? unborn(), { ...readVmEvent(type, schemaVersion, data), id }));
  }
  return {
    chains: Object.fromEntries(chains),
    registry: {
      claims: [...registry.claims].map(([vmId, { name, monitor, files }]) => ({
        vmId,
        name,
        monitor,
        files,
      })),
      released: [...registry.released],
    },
    vms: [...vms.values()].map(vmSummary),
  };
}

const vmSummary = ({ snapshots, usedIds, loadIds, operation, layers, ...vm }: Vm): object => ({
  ...vm,
  layers: [...layers.values()],
  snapshots: [...snapshots.values()].map(snapshotSummary),
  usedIds: [...usedIds],
  loadIds: [...loadIds],
  operation: operation && { id: operation.id, kind: operation.kind, isStarted: operation.started !== null },
});

const snapshotSummary = ({ evidence, memory, ...snapshot }: Snapshot): object => ({
  ...snapshot,
  memory: memory.mode,
  memoryFile: memory.file ?? null,
  evidence: evidence.map(({ device, tag, nativeId, vmStateSizeBytes }) =>
    [device, tag, nativeId, vmStateSizeBytes].join(' '),
  ),
});

const hashOf = (previousHash: string, record: string): string =>
  createHash('sha256').update(previousHash, 'hex').update(record, 'utf8').digest('hex');
