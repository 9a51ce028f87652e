import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { captureOfEachDisk, planCapture, Refusal } from '#ledger';
import { expect, test } from 'vitest';
import { type Combination, MODES, rows, saidOf, textOf } from './rows.ts';

/** What the ledger does, in the words of the table. */
function said({ domain, memory, disk, diskOnly }: Combination): string {
  const mode = MODES[disk];
  const vda = { device: 'vda', node: 'vda', format: 'qcow2', file: '/vda', readOnly: false } as const;
  const disks = captureOfEachDisk(mode ? [{ device: 'vda', mode }] : [], {
    disks: [{ ...vda, default: 'internal' as const }],
  });
  try {
    const plan = planCapture(domain, { memory: MODES[memory], disks, diskOnly });
    const means = [plan.disksBy, plan.memoryBy].filter((word) => word !== 'none' && word !== 'in-disk');
    return `${means.join(' + ')}, memory ${plan.memory}`;
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

test('the figures of the document are those of its table', () => {
  const all = rows.flatMap((row) => row.combinations.map((combination) => ({ row, combination })));
  const ours = all.filter(({ row, combination }) => saidOf(row.ours, combination).includes('memory'));
  const libvirt = all.filter(({ row, combination }) => saidOf(row.libvirt, combination).startsWith('ok'));
  const document = readFileSync(join(import.meta.dirname, '../../docs/snapshot-matrix.md'), 'utf8');
  expect(document).toContain(
    `**${ours.length} of 64 combinations succeed here, ${libvirt.length} with libvirt 9.0.**`,
  );
});

test.each(rows)('$line', ({ combinations, ours }) => {
  expect(combinations.length).toBeGreaterThan(0);
  for (const combination of combinations) {
    expect(said(combination), textOf(combination)).toBe(saidOf(ours, combination));
  }
});
