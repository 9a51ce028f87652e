import type { Files, FileStat } from '#world';
import { expect, test } from 'vitest';
import { pruneTranscripts, TRANSCRIPT_AGE_MAX_MS } from './transcript.ts';

const NOW = 1_795_264_357_000;

const nameOf = (path: string): string => path.slice('/t/'.length);

test('transcripts that nobody has written to for thirty days go, and nothing else does', async () => {
  const ages: Record<string, number> = {
    'old.ndjson': TRANSCRIPT_AGE_MAX_MS + 1,
    'young.ndjson': TRANSCRIPT_AGE_MAX_MS - 1,
    'old.txt': TRANSCRIPT_AGE_MAX_MS + 1,
  };
  const gone: string[] = [];
  const statOf = (path: string): FileStat => {
    const modifiedAt = NOW - (ages[nameOf(path)] ?? 0);
    return { kind: 'file', sizeBytes: 1, identity: path, modifiedAt, changedAt: modifiedAt };
  };
  const files: Pick<Files, 'list' | 'stat' | 'unlink'> = {
    list: async () => Object.keys(ages),
    stat: async (path) => statOf(path),
    unlink: async (path) => gone.push(nameOf(path)) > 0,
  };
  expect(await pruneTranscripts({ files, clock: { now: () => NOW } }, '/t')).toBe(1);
  expect(gone).toEqual(['old.ndjson']);
});
