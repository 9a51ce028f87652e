import { hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { ChainEnd, Envelope, Seal, SealedEvent, StoredEvent } from './envelope.ts';
import { StoreTrouble } from './store.ts';

/** A record is never longer, in UTF-8: followers read pages of records into memory. */
export const RECORD_BYTES_MAX = 8 * 1024 * 1024;

/** Before the first event of any stream. */
export const CHAIN_START: ChainEnd = { version: 0, hash: '0'.repeat(64) };

/** A stored event is not the one that was sealed, or not in its place: the log is damaged. */
export class ChainBroken extends StoreTrouble {
  override readonly name = 'ChainBroken';
  readonly stream: string;
  readonly version: number;
  constructor({ stream, version, position }: StoredEvent, why: string) {
    super('damaged', `the log is damaged: ${stream} version ${version} (position ${position}): ${why}`);
    this.stream = stream;
    this.version = version;
  }
}

/** Closes an event for good: its bytes, and its link to the one before it. Throws when it is too large. */
export function seal(envelope: Envelope, previousHash: string): SealedEvent {
  const record = canonicalJson(envelope);
  const sizeBytes = Buffer.byteLength(record);
  if (sizeBytes > RECORD_BYTES_MAX) {
    throw new Error(`${envelope.type} takes ${sizeBytes} bytes, ${RECORD_BYTES_MAX} is the most`);
  }
  return { envelope, record, previousHash, hash: hashOf(previousHash, record) };
}

/** SHA-256(previousHash ‖ record), in hex. */
export const hashOf = (previousHash: string, record: string): string =>
  hash('sha256', Buffer.concat([Buffer.from(previousHash, 'hex'), Buffer.from(record)]));

/** SHA-256 of a value's canonical JSON, in hex: equal for equal values, whatever their members' order. */
export const digestOf = (value: unknown): string => hash('sha256', canonicalJson(value));

/** What a stored event says. Throws `ChainBroken` when its text is no envelope. */
export function opened(stored: StoredEvent): Envelope & Seal {
  const { position, previousHash, hash } = stored;
  return { ...envelopeIn(stored), position, previousHash, hash };
}

const TEXTS = [
  'id',
  'type',
  'stream',
  'version',
  'recordedAt',
  'actor',
  'correlationId',
  'causationId',
  'commandId',
  'commandDigest',
  'schemaVersion',
] as const satisfies readonly (keyof Envelope)[];

function envelopeIn(stored: StoredEvent): Envelope {
  let parsed: unknown;
  try {
    parsed = JSON.parse(stored.record);
  } catch (error) {
    throw new ChainBroken(stored, `the record is not JSON: ${String(error)}`);
  }
  const missing = missingIn(parsed);
  if (missing) throw new ChainBroken(stored, `the record has no ${missing}`);
  return parsed as Envelope; // Every member was looked at.
}

function missingIn(parsed: unknown): string | null {
  if (typeof parsed !== 'object' || parsed === null) return 'members';
  const record = parsed as Readonly<Record<string, unknown>>;
  for (const name of TEXTS) if (typeof record[name] !== 'string') return name;
  return typeof record['data'] === 'object' && record['data'] !== null ? null : 'data';
}

/**
 * Checks that one stream's events follow each other unchanged after `after`, which may be the result of an
 * earlier call: a long stream is checked page by page. Hashes the stored bytes, before any upcasting.
 * Throws `ChainBroken` at the first event that is altered, missing, misplaced or from another stream.
 */
export function verifyChain(events: readonly StoredEvent[], after: ChainEnd = CHAIN_START): ChainEnd {
  let end = after;
  for (const event of events) end = verifyLink(event, end);
  return end;
}

function verifyLink(stored: StoredEvent, { version, hash }: ChainEnd): ChainEnd {
  const broken = (why: string): ChainBroken => new ChainBroken(stored, why);
  if (stored.version !== version + 1) throw broken(`version ${version + 1} should stand here`);
  if (stored.previousHash !== hash) throw broken('it does not follow the event before it');
  if (hashOf(hash, stored.record) !== stored.hash) throw broken('its bytes are not those that were sealed');
  const envelope = envelopeIn(stored);
  if (envelope.stream !== stored.stream) throw broken(`it belongs to ${envelope.stream}`);
  if (envelope.version !== String(stored.version)) throw broken(`it is version ${envelope.version}`);
  return { version: stored.version, hash: stored.hash };
}
