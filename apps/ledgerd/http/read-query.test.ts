import { expect, test } from 'vitest';
import { readQuery, repeatedIn } from './read-query.ts';

test('labels are gathered, whatever they are called', () => {
  expect(readQuery('name=a%20b&label.colour=blue&label.__proto__=x')).toEqual({
    name: 'a b',
    'label.': Object.assign(Object.create(null), { colour: 'blue', ['__proto__']: 'x' }),
  });
});

test('a parameter is given once', () => {
  expect(repeatedIn(readQuery('a=1&b=2'))).toEqual([]);
  expect(repeatedIn(readQuery('a=1&a=1&b=2'))).toEqual(['a']);
  expect(repeatedIn(readQuery('a=1&a=2&a=3'))).toEqual(['a']);
  expect(repeatedIn(readQuery('label.x=1&label.x=2'))).toEqual(['label.x']);
  expect(repeatedIn(readQuery('__proto__=1&__proto__=2'))).toEqual(['__proto__']);
});

test('nothing in a query reaches a prototype', () => {
  readQuery('__proto__=x&constructor=y&label.__proto__=z');
  expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  expect(Object.getPrototypeOf(readQuery('__proto__=x'))).toBeNull();
});
