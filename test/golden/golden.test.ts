import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  MalformedEvent,
  readRegistryEvent,
  readVmEvent,
  RegistryEvent,
  UnknownEvent,
  VmEvent,
} from '#ledger';
import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { untoldMembers } from './members.ts';
import { recordOf, type StoredRecord, summaryOf } from './summary.ts';

// Can today's code read every release's log? `vN.jsonl` holds records as release N stored them, byte for byte, each
// type of event at least once; `vN.summary.json` what they mean, and where each stream's hash chain ends.
// A released file is never edited: its chain would end elsewhere.

const here = import.meta.dirname;
const releases = readdirSync(here)
  .flatMap((file) => /^v(\d+)\.jsonl$/.exec(file)?.[1] ?? [])
  .map(Number)
  .sort((a, b) => a - b);

const textOf = (file: string): string => readFileSync(join(here, file), 'utf8');
const linesOf = (release: number): string[] => textOf(`v${release}.jsonl`).trimEnd().split('\n');

describe('the log of every release', () => {
  test.each(releases)('v%i means to the code of today what it meant to its own', (release) => {
    // It may mean more than it did, in members that came later.
    expect(summaryOf(linesOf(release))).toMatchObject(
      JSON.parse(textOf(`v${release}.summary.json`)) as object,
    );
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

const schemas = [...VmEvent.options, ...RegistryEvent.options];
const schemaOf = (type: string) => schemas.find(({ shape }) => shape.type.value === type)?.shape.data;

describe('the newest log holds', () => {
  test('every type of event, so that none is released unread', () => {
    const types = schemas.map(({ shape }) => shape.type.value);
    expect([...new Set(newest.map(({ type }) => type))].sort()).toEqual([...types].sort());
  });

  test('every member that an event can have', () => {
    expect(untoldMembers([VmEvent, RegistryEvent], newest)).toEqual([]);
  });
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

/** Members that came with a later release are not in the logs of the earlier ones. */
function isOptional(type: string, member: string): boolean {
  const shape: Readonly<Record<string, z.ZodType>> = schemaOf(type)?.shape ?? {};
  return shape[member]?.isOptional() ?? false;
}
