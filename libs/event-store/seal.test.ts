import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from './canonical-json.ts';
import type { Envelope, StoredEvent } from './envelope.ts';
import { CHAIN_START, ChainBroken, digestOf, opened, RECORD_BYTES_MAX, seal, verifyChain } from './seal.ts';

const envelope = (version: number, more: Partial<Envelope> = {}): Envelope => ({
  id: `0190b0a0-0000-7000-8000-${String(version).padStart(12, '0')}`,
  type: 'MarblePut',
  stream: 'jar',
  version: String(version),
  recordedAt: '2026-11-21T12:00:00.000Z',
  actor: 'http:me',
  correlationId: 'correlation',
  causationId: '',
  commandId: '',
  commandDigest: '',
  schemaVersion: '1',
  data: { colour: 'grün' },
  ...more,
});

const sum = (...parts: Buffer[]): string => createHash('sha256').update(Buffer.concat(parts)).digest('hex');

function chain(length: number): StoredEvent[] {
  const events: StoredEvent[] = [];
  for (let version = 1; version <= length; version += 1) {
    const { record, previousHash, hash } = seal(envelope(version), events.at(-1)?.hash ?? CHAIN_START.hash);
    events.push({ position: String(version * 7), stream: 'jar', version, previousHash, hash, record });
  }
  return events;
}

describe('the seal', () => {
  test('is SHA-256 over the bytes of the hash before and of the canonical JSON, in hex', () => {
    const first = seal(envelope(1), CHAIN_START.hash);
    const record = canonicalJson(envelope(1));
    expect(first.record).toBe(record);
    expect(first.hash).toBe(sum(Buffer.alloc(32), Buffer.from(record, 'utf8')));

    const second = seal(envelope(2), first.hash);
    expect(second.previousHash).toBe(first.hash);
    expect(second.hash).toBe(sum(Buffer.from(first.hash, 'hex'), Buffer.from(second.record, 'utf8')));
  });

  test('covers everything but position, previous hash and hash', () => {
    const [stored] = chain(1);
    if (!stored) return expect.fail('no event');
    const { position, previousHash, hash, ...sealed } = opened(stored);
    expect(canonicalJson(sealed)).toBe(stored.record);
    expect([position, previousHash, hash]).toEqual([stored.position, stored.previousHash, stored.hash]);
  });

  test('refuses an event that is larger than a record may be', () => {
    const data = { text: 'x'.repeat(RECORD_BYTES_MAX) };
    expect(() => seal(envelope(1, { data }), CHAIN_START.hash)).toThrow(/is the most/);
  });

  test('a digest does not depend on the order of members', () => {
    expect(digestOf({ a: 1, b: { c: 2, d: 3 } })).toBe(digestOf({ b: { d: 3, c: 2 }, a: 1 }));
    expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: 2 }));
  });
});

describe('a chain', () => {
  test('verifies in one go and page by page', () => {
    const events = chain(10);
    const end = { version: 10, hash: events[9]?.hash };
    expect(verifyChain(events)).toEqual(end);
    expect(verifyChain(events.slice(4), verifyChain(events.slice(0, 4)))).toEqual(end);
    expect(verifyChain([])).toEqual(CHAIN_START);
  });

  test('breaks whatever byte of a record, hash or version is changed', () => {
    const events = chain(5);
    const place = fc.record({
      at: fc.nat(4),
      member: fc.constantFrom('record', 'hash', 'previousHash', 'stream'),
      offset: fc.nat(),
      letter: fc.constantFrom('0', '1', 'a', 'x', ' ', '"'),
    });
    fc.assert(
      fc.property(place, ({ at, member, offset, letter }) => {
        const altered = events.map((event, index) => {
          const text = event[member as 'record'];
          const cut = offset % text.length;
          return index === at
            ? { ...event, [member]: text.slice(0, cut) + letter + text.slice(cut + 1) }
            : event;
        });
        fc.pre(JSON.stringify(altered) !== JSON.stringify(events));
        expect(() => verifyChain(altered)).toThrow(ChainBroken);
      }),
    );
  });

  test.each([
    ['an event is missing', (events: StoredEvent[]) => events.toSpliced(2, 1)],
    ['the first event is missing', (events: StoredEvent[]) => events.slice(1)],
    [
      'two events have changed places',
      ([a, b, ...rest]: StoredEvent[]) => [b, a, ...rest].filter((e) => !!e),
    ],
    ['an event stands twice', (events: StoredEvent[]) => [...events.slice(0, 2), ...events.slice(1)]],
  ])('breaks when %s', (_, alter) => {
    expect(() => verifyChain(alter(chain(5)))).toThrow(ChainBroken);
  });

  test.each([
    ['it belongs to bottle', { stream: 'bottle' }],
    ['it is version 7', { version: '7' }],
  ])('breaks when a record with a right hash says that %s', (why, more) => {
    const forged = seal(envelope(1, more), CHAIN_START.hash);
    const stored = { ...forged, position: '1', stream: 'jar', version: 1 };
    expect(() => verifyChain([stored])).toThrow(why);
  });

  test('breaks when a version is left out, even by somebody who can compute hashes', () => {
    const first = seal(envelope(1), CHAIN_START.hash);
    const third = seal(envelope(3), first.hash);
    const stored = [first, third].map((event, index) => ({
      ...event,
      position: String(index + 1),
      stream: 'jar',
      version: Number(event.envelope.version),
    }));
    expect(() => verifyChain(stored)).toThrow('version 2 should stand here');
  });

  test.each(Object.keys(envelope(1)))('breaks when a record with a right hash has no %s', (name) => {
    const { [name as 'id']: _, ...rest } = envelope(1);
    const forged = seal(rest as Envelope, CHAIN_START.hash);
    expect(() => verifyChain([{ ...forged, position: '1', stream: 'jar', version: 1 }])).toThrow(
      `the record has no ${name}`,
    );
  });
});
