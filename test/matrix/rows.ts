import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CaptureMode } from '#ledger';

/* docs/snapshot-matrix.md, read: what it says of a combination is what the tests expect. */

export type Word = 'omit' | 'no' | 'int' | 'ext';

export interface Combination {
  readonly domain: 'online' | 'offline';
  readonly memory: Word;
  readonly disk: Word;
  readonly diskOnly: boolean;
}

export interface Row {
  readonly line: string;
  readonly combinations: readonly Combination[];
  readonly ours: string;
  readonly libvirt: string;
}

const WORDS: readonly Word[] = ['omit', 'no', 'int', 'ext'];

/** What the words of the table are in the API. */
export const MODES: Readonly<Record<Word, CaptureMode | undefined>> = {
  omit: undefined,
  no: 'none',
  int: 'internal',
  ext: 'external',
};

export const rows: readonly Row[] = readFileSync(
  join(import.meta.dirname, '../../docs/snapshot-matrix.md'),
  'utf8',
)
  .split('\n')
  .filter((line) => /^(on|off)line /.test(line))
  .map(rowOf);

function rowOf(line: string): Row {
  const [left = '', ours = '', libvirt = ''] = line.split('‖').map((cell) => cell.trim());
  const [, domain, memory = '', disk = '', diskOnly] = /^(\S+) (\S+) (\S+) (\S+) \|/.exec(left) ?? [];
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
  return { line, combinations, ours, libvirt };
}

function wordsOf(cell: string): readonly Word[] {
  return WORDS.filter((word) => cell === 'any' || cell.split('/').includes(word));
}

/** What a cell says of one of its combinations. */
export function saidOf(cell: string, { disk, diskOnly }: Combination): string {
  const parts = cell.split('; ').map((part) => /^(off|on|no|ext): (.*)$/.exec(part));
  const isMeant = (key: string | undefined): boolean => key === disk || key === (diskOnly ? 'on' : 'off');
  return parts.find((part) => part && isMeant(part[1]))?.[2] ?? cell;
}

export const textOf = ({ domain, memory, disk, diskOnly }: Combination): string =>
  `${domain} ${memory} ${disk} ${diskOnly ? 'on' : 'off'}`;
