import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { comparePositions, isPosition } from './store.ts';

test('positions compare as numbers of any length', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n }), fc.bigInt({ min: 0n }), (a, b) => {
      const order = a === b ? 0 : a < b ? -1 : 1;
      expect(Math.sign(comparePositions(String(a), String(b)))).toBe(order);
    }),
  );
});

test('a position is a decimal number without signs and leading zeros', () => {
  expect(['0', '7', '18446744073709551615'].every(isPosition)).toBe(true);
  expect(['', '-1', '+1', '01', '1.0', '1e3', ' 1', '0x1', 'null'].some(isPosition)).toBe(false);
});
