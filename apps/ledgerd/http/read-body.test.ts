import { expect, test } from 'vitest';
import { Refusal } from '#ledger';
import { BODY_DEPTH_MAX, readBody } from './read-body.ts';

const body = (text: string): object => readBody(new TextEncoder().encode(text));

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

test('an empty body is an empty object', () => {
  expect(body('')).toEqual({});
});

test('a body is a JSON object in UTF-8 and nothing else', () => {
  for (const text of ['{', 'null', '1', '"x"', '[]', '{"a":1}x', "{'a':1}", '{"a":NaN}'])
    expect(() => body(text), text).toThrow(Refusal);
  expect(() => readBody(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toThrow('not JSON in UTF-8');
});

test('a body may be as deep as the limit and no deeper', () => {
  expect(body(nested(BODY_DEPTH_MAX))).toBeTypeOf('object');
  expect(() => body(nested(BODY_DEPTH_MAX + 1))).toThrow('deeper than 32');
  expect(() => body(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)).toThrow('deeper than 32');
});

test('members that mean something to JavaScript are refused, but are fine as keys of labels', () => {
  for (const key of ['__proto__', 'constructor', 'prototype']) {
    expect(() => body(`{"${key}":{"x":1}}`)).toThrow(`property ${key} should not exist`);
    expect(() => body(`{"disks":[{"${key}":1}]}`)).toThrow(Refusal);
    expect(() => body(`{"labels":{"a":{"${key}":1}}}`)).toThrow(Refusal);
    expect(() => body(`{"a":{"labels":{"${key}":"x"}}}`)).toThrow(Refusal);
    const { labels } = body(`{"labels":{"${key}":"x"}}`) as { labels: object };
    expect(Object.entries(labels)).toEqual([[key, 'x']]);
  }
});

test('half of a character is refused: it has no canonical JSON', () => {
  expect(() => body(String.raw`{"name":"\ud800"}`)).toThrow('half of a character');
  expect(() => body(String.raw`{"labels":{"\udc00":"x"}}`)).toThrow('half of a character');
  expect(body(String.raw`{"name":"\ud83d\ude00"}`)).toEqual({ name: '😀' });
});
