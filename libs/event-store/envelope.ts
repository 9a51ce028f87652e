/**
 * What is known of every event besides what happened. All members are strings, '' where there is none:
 * KurrentDB's metadata must be flat strings. Names and JSON are those of HTTP and Kafka.
 */
export interface Envelope {
  /** UUIDv7. */
  readonly id: string;
  readonly type: string;
  readonly stream: string;
  /** Gapless in its stream, from "1". */
  readonly version: string;
  /** RFC 3339 in UTC with milliseconds; never before that of the event before it. */
  readonly recordedAt: string;
  /** Who asked: `http:`, `kafka:`, `ledgerctl:` … and a name. */
  readonly actor: string;
  readonly correlationId: string;
  /** The event that led to this one; '' when a person did. */
  readonly causationId: string;
  /** The idempotency key; '' when the caller gave none. */
  readonly commandId: string;
  /** SHA-256 of the canonical JSON of what was asked, 64 hex digits. */
  readonly commandDigest: string;
  /** The shape of `data`, counted per type. */
  readonly schemaVersion: string;
  readonly data: object;
}

/** What stands outside the sealed record: the place in one store, and the chain. */
export interface Seal {
  /** Opaque and ordered, of one store only: compare with `comparePositions`. Increases, with gaps. */
  readonly position: string;
  /** Hash of the event before it in the stream, 64 zeros for the first. */
  readonly previousHash: string;
  /** SHA-256(previousHash ‖ record), 64 lower-case hex digits. */
  readonly hash: string;
}

/** The least an event is. */
export interface EventShape {
  readonly type: string;
  readonly data: object;
}

/** An event of the domain as the log has it. */
export type Recorded<E extends EventShape> = E & Omit<Envelope, 'type' | 'data'> & Seal;

/** An event as a store keeps it. `record` is the sealed text, byte for byte. */
export interface StoredEvent extends Seal {
  readonly stream: string;
  readonly version: number;
  readonly record: string;
}

/** An event on its way into a store. */
export interface SealedEvent extends Omit<Seal, 'position'> {
  readonly envelope: Envelope;
  /** Canonical JSON of the envelope: what the hash covers and what every store keeps verbatim. */
  readonly record: string;
}

/** Where a chain has come to. */
export interface ChainEnd {
  readonly version: number;
  readonly hash: string;
}
