import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  emptyRegistry,
  evolve,
  evolveRegistry,
  MalformedEvent,
  readRegistryEvent,
  readVmEvent,
  RegistryEvent,
  type Snapshot,
  unborn,
  UnknownEvent,
  type Vm,
  VmEvent,
} from '#ledger';
import { describe, expect, test } from 'vitest';

// Can today's code read every release's log? `vN.jsonl` holds records as release N stored them, byte for byte, each
// type of event at least once; `vN.summary.json` what they mean, and where each stream's hash chain ends.
// A released file is never edited: its chain would end elsewhere.

interface StoredRecord {
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  readonly version: string;
  readonly schemaVersion: string;
  readonly data: unknown;
}

const here = import.meta.dirname;
const releases = readdirSync(here)
  .flatMap((file) => /^v(\d+)\.jsonl$/.exec(file)?.[1] ?? [])
  .map(Number)
  .sort((a, b) => a - b);

const textOf = (file: string): string => readFileSync(join(here, file), 'utf8');
const linesOf = (release: number): string[] => textOf(`v${release}.jsonl`).trimEnd().split('\n');
const recordOf = (line: string): StoredRecord => JSON.parse(line) as StoredRecord;

/** What a release's log means to the code of today, in the words of the product. */
function summaryOf(release: number): object {
  const vms = new Map<string, Vm>();
  const chains = new Map<string, string>();
  let registry = emptyRegistry();
  for (const line of linesOf(release)) {
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

const vmSummary = ({ snapshots, usedIds, operation, ...vm }: Vm): object => ({
  ...vm,
  snapshots: [...snapshots.values()].map(snapshotSummary),
  usedIds: [...usedIds],
  operation: operation && { id: operation.id, kind: operation.kind, isStarted: operation.started !== null },
});

const snapshotSummary = ({ evidence, ...snapshot }: Snapshot): object => ({
  ...snapshot,
  evidence: evidence.map(({ device, tag, nativeId, vmStateSizeBytes }) =>
    [device, tag, nativeId, vmStateSizeBytes].join(' '),
  ),
});

const hashOf = (previousHash: string, record: string): string =>
  createHash('sha256').update(previousHash, 'hex').update(record, 'utf8').digest('hex');

describe('the log of every release', () => {
  test.each(releases)('v%i means to the code of today what it meant to its own', (release) => {
    // It may mean more than it did, in members that came later.
    expect(summaryOf(release)).toMatchObject(JSON.parse(textOf(`v${release}.summary.json`)) as object);
  });

  test.each(releases)('v%i is a log: each stream counts from 1 without a gap', (release) => {
    const versions = new Map<string, number>();
    for (const { stream, version } of linesOf(release).map(recordOf)) {
      expect(Number(version)).toBe((versions.get(stream) ?? 0) + 1);
      versions.set(stream, Number(version));
    }
  });
});

const readerOf = ({ stream }: StoredRecord) => (stream === 'registry' ? readRegistryEvent : readVmEvent);

const newest = linesOf(releases.at(-1) ?? 0).map(recordOf);

test('the newest log holds every type of event, so that none is released unread', () => {
  const types = [...VmEvent.options, ...RegistryEvent.options].map(({ shape }) => shape.type.value);
  expect([...new Set(newest.map(({ type }) => type))].sort()).toEqual([...types].sort());
});

describe('of every event in the newest log,', () => {
  test('nothing is lost or added by reading it', () => {
    for (const record of newest) {
      const { type, schemaVersion, data } = record;
      expect(readerOf(record)(type, schemaVersion, data)).toEqual({ type, data });
    }
  });

  test('a type or a shape that only a newer program knows stops the reader', () => {
    for (const record of newest) {
      const { type, schemaVersion, data } = record;
      expect(() => readerOf(record)(`${type}Again`, schemaVersion, data)).toThrow(UnknownEvent);
      expect(() => readerOf(record)(type, `${Number(schemaVersion) + 1}`, data)).toThrow(UnknownEvent);
    }
  });

  test('each member is there, or the event is damaged', () => {
    for (const record of newest) {
      const { type, schemaVersion, data } = record;
      for (const member of Object.keys(data ?? {}).filter((name) => !isOptional(type, name))) {
        const { [member]: _, ...rest } = data as Record<string, unknown>;
        expect(() => readerOf(record)(type, schemaVersion, rest), `${type} ${member}`).toThrow(
          MalformedEvent,
        );
      }
    }
  });
});

const isOptional = (type: string, member: string): boolean =>
  type === 'VmChanged' || (type === 'SnapshotRequested' && member === 'memory');
