import { expect, test } from 'vitest';
import { askedIn, unconditional } from './asked.ts';
import type { HttpHeaders } from './wire.ts';

const asked = (headers: HttpHeaders) =>
  askedIn({
    id: 'r',
    method: 'POST',
    url: '/v1/vms',
    headers,
    params: {},
    query: {},
    body: undefined,
    routeOptions: { url: '/v1/vms' },
  });

const version = (header: string): number | undefined => asked({ 'if-match': header }).expectedVersion;

test('the request is its own correlation', () => {
  expect(asked({})).toEqual({
    actor: 'http:anonymous',
    correlationId: 'r',
    request: { route: 'POST /v1/vms', params: {}, query: {}, body: {} },
  });
});

test('a key is 1 to 255 printable ASCII characters', () => {
  expect(asked({ 'idempotency-key': 'k' }).key).toBe('k');
  expect(asked({ 'idempotency-key': `"${'x'.repeat(253)}"` }).key).toHaveLength(255);
  for (const key of ['', 'x'.repeat(256), 'schlüssel', 'a\tb', 'a\u007f'])
    expect(() => asked({ 'idempotency-key': key }), key).toThrow('Idempotency-Key');
});

test('If-Match is one strong ETag; what is none of ours matches nothing', () => {
  expect(version('"7"')).toBe(7);
  expect(version('"0"')).toBe(0);
  expect(version('*')).toBeUndefined();
  expect(version('"abc"')).toBe(-1);
  expect(version('"07"')).toBe(-1);
  for (const header of ['7', 'W/"7"', '"7", "8"', '"7', ''])
    expect(() => version(header), header).toThrow('If-Match');
});

test('what is made anew has no version to be compared with', () => {
  expect(unconditional(asked({ 'if-match': '"7"' }))).not.toHaveProperty('expectedVersion');
});
