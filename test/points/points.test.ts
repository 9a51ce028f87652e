import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAULT_POINTS } from '#hypervisor';
import { pointBeside } from '#world';
import { PASSES_PER_WORLD } from '../simulation/point-passes.ts';
import { allTouches, DOCUMENT, documentOf } from './document.ts';
import { NOT_KILLED_AT, NOT_SIMULATED, SELDOM_SIMULATED } from './not-passed.ts';
import { root } from './read-code.ts';

const touches = allTouches();
const names = touches.map(({ name }) => name);

test('docs/fault-points.md says what the code has: else run `npm run points`', () => {
  expect(readFileSync(join(root, DOCUMENT), 'utf8')).toBe(documentOf(touches));
});

test('the hypervisor lists the points of its own that it passes, and no others', () => {
  const own = names.filter((name) => name.startsWith('hypervisor.'));
  const passed = own.flatMap((name) => [pointBeside('before', name), pointBeside('after', name)]);
  expect(passed.toSorted()).toEqual([...FAULT_POINTS].toSorted());
});

test('every exception is one of a touch that there is', () => {
  const exceptions = [NOT_SIMULATED, SELDOM_SIMULATED, NOT_KILLED_AT].flatMap((list) => Object.keys(list));
  expect(exceptions.filter((name) => !names.includes(name))).toEqual([]);
});

test('faults strike every touch that a simulated world makes, and nothing else', () => {
  const simulated = names.filter((name) => !(name in NOT_SIMULATED));
  expect(Object.keys(PASSES_PER_WORLD).toSorted()).toEqual(simulated.toSorted());
});
