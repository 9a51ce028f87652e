import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CaptureMode, captureOfEachDisk, planCapture, Refusal, unborn } from '#ledger';
import { expect, test } from 'vitest';

// docs/snapshot-matrix.md is the test: what it says of a combination is what the ledger does.

type Word = 'omit' | 'no' | 'int' | 'ext';

interface Combination {
  readonly domain: 'online' | 'offline';
  readonly memory: Word;
  readonly disk: Word;
  readonly diskOnly: boolean;
}

interface Row {
  readonly line: string;
  readonly combinations: readonly Combination[];
  readonly ours: string;
}

const WORDS: readonly Word[] = ['omit', 'no', 'int', 'ext'];
const MODES: Readonly<Record<Word, CaptureMode | undefined>> = {
  omit: undefined,
  no: 'none',
  int: 'internal',
  ext: 'external',
};

const rows = readFileSync(join(import.meta.dirname, '../docs/snapshot-matrix.md'), 'utf8')
  .split('\n')
  .filter((line) => /^(on|off)line /.test(line))
  .map(rowOf);

function rowOf(line: string): Row {
  const [, domain, memory = '', disk = '', diskOnly, ours = ''] =
    /^(\S+) (\S+) (\S+) (\S+) \|.* ‖ (.*)$/.exec(line) ?? [];
  const combinations = wordsOf(memory).flatMap((memory) =>
    wordsOf(disk).flatMap((disk) =>
      [true, false]
        .filter((isOnly) => diskOnly === 'any' || isOnly === (diskOnly === 'on'))
        .map((diskOnly): Combination => ({
          domain: domain === 'online' ? 'online' : 'offline',
          memory,
          disk,
          diskOnly,
        })),
    ),
  );
  return { line, combinations, ours };
}

function wordsOf(cell: string): readonly Word[] {
  return WORDS.filter((word) => cell === 'any' || cell.split('/').includes(word));
}

const textOf = ({ domain, memory, disk, diskOnly }: Combination): string =>
  `${domain} ${memory} ${disk} ${diskOnly ? 'on' : 'off'}`;

/** What the ledger does, in the words of the table. */
function said({ domain, memory, disk, diskOnly }: Combination): string {
  const mode = MODES[disk];
  const vda = { device: 'vda', node: 'vda', format: 'qcow2', file: '/vda', readOnly: false } as const;
  const vm = { ...unborn(), disks: [{ ...vda, default: 'internal' as const }] };
  const disks = captureOfEachDisk(mode ? [{ device: 'vda', mode }] : [], vm);
  try {
    const plan = planCapture(domain, { memory: MODES[memory], disks, diskOnly });
    return `${plan.means}, memory ${plan.memory}`;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

test('the 25 rows cover the 64 combinations, each exactly once', () => {
  const covered = rows.flatMap(({ combinations }) => combinations.map(textOf));
  expect(rows).toHaveLength(25);
  expect(covered).toHaveLength(64);
  expect(new Set(covered).size).toBe(64);
});

test.each(rows)('$line', ({ combinations, ours }) => {
  expect(combinations.length).toBeGreaterThan(0);
  for (const combination of combinations) expect(said(combination), textOf(combination)).toBe(ours);
});
