import type { Json } from './canonical-json.ts';
import { opened } from './seal.ts';
import type { EventShape, Recorded, StoredEvent } from './envelope.ts';

/** A domain: what may be asked, what happens then, and what that leaves. Synchronous and pure. */
export interface Decider<State, Command, Event extends EventShape> {
  /** Bumped whenever `evolve` or `State` changes: states persisted under another number are dropped. */
  readonly version: number;
  /** A stream in which nothing has happened. */
  initial(stream: string): State;
  /**
   * Believes every event. Owns and may mutate the state, never the event. The state must survive a structured
   * clone: plain objects, arrays, Map and Set.
   */
  evolve(state: State, event: Recorded<Event>): State;
  /** What happens when `command` meets `state`; nothing is fine too. Throws the domain's refusal. */
  decide(command: Command, state: State): readonly Event[];
  /**
   * Checks and upcasts stored data. Throws an error named `UnknownEvent` for what a newer program recorded: this
   * room's, or the domain's own when it imports nothing.
   */
  read(type: string, schemaVersion: string, data: unknown): Event;
  schemaVersionOf(type: Event['type']): string;
  /** About what the state takes in memory. Called after every command: cheap rather than exact. */
  sizeBytes(state: State): number;
}

/** The log holds an event that only a newer program understands. Skipping it would be guessing. */
export class UnknownEvent extends Error {
  override readonly name = 'UnknownEvent';
  readonly type: string;
  readonly schemaVersion: string;
  constructor(type: string, schemaVersion: string, cause?: unknown) {
    super(`the log holds ${type} of schema version ${schemaVersion}, which a newer program recorded`, {
      cause,
    });
    this.type = type;
    this.schemaVersion = schemaVersion;
  }
}

/** Who asks, and under which conditions. */
export interface Asked {
  readonly actor: string;
  readonly correlationId: string;
  readonly causationId?: string;
  /** The idempotency key. */
  readonly key?: string;
  /** What the client sent. Two requests with one key are the same request when this is. */
  readonly request: Json;
  /** If-Match: the version at which the stream must be. */
  readonly expectedVersion?: number;
}

export interface Handled<Event extends EventShape> {
  /** Of the stream, right after the command. */
  readonly version: number;
  /** What the command recorded; nothing when it changed nothing. */
  readonly events: readonly Recorded<Event>[];
  /** Whether this is the first answer again, because the key was used before. */
  readonly replayed: boolean;
}

/** The key stands for another request. */
export class KeyReused extends Error {
  override readonly name = 'KeyReused';
  readonly key: string;
  constructor(key: string) {
    super(`the idempotency key ${JSON.stringify(key)} was used for another request`);
    this.key = key;
  }
}

/** The caller decided on a version that is no longer the stream's. */
export class StaleVersion extends Error {
  override readonly name = 'StaleVersion';
  readonly expected: number;
  readonly actual: number;
  constructor(expected: number, actual: number) {
    super(`version ${expected} was expected, ${actual} is current`);
    this.expected = expected;
    this.actual = actual;
  }
}

/** What happened, in today's words. Throws `UnknownEvent`, and `ChainBroken` when the record is no envelope. */
export function recorded<Event extends EventShape>(
  stored: StoredEvent,
  reader: Pick<Decider<never, never, Event>, 'read'>,
): Recorded<Event> {
  const envelope = opened(stored);
  const { type, schemaVersion, data } = envelope;
  try {
    // Into the envelope, which is nobody else's: a copy per event would cost a million copies in a replay.
    return Object.assign(envelope, reader.read(type, schemaVersion, data));
  } catch (error) {
    const isUnknown = error instanceof Error && error.name === 'UnknownEvent';
    throw isUnknown ? new UnknownEvent(type, schemaVersion, error) : error;
  }
}
