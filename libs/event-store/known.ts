import { deserialize, serialize } from 'node:v8';
import type { Decider } from './decider.ts';
import type { EventShape, Recorded } from './envelope.ts';
import { CHAIN_START } from './seal.ts';
import type { PersistedState } from './state-store.ts';

/** A command that recorded something, found by its idempotency key. */
export interface Answered {
  /** Of what was asked. */
  readonly digest: string;
  readonly firstVersion: number;
  readonly lastVersion: number;
}

/** What this process knows of a stream: always what is committed, never what is hoped for. */
export interface Known<State> {
  state: State;
  version: number;
  hash: string;
  recordedAt: string;
  /** By idempotency key. */
  readonly answered: Map<string, Answered>;
  /** Events folded since the state was last persisted. */
  unsaved: number;
}

/** About what one key and its answer take in memory. */
const ANSWERED_BYTES = 400;

/** About what the rest takes. */
const KNOWN_BYTES = 1_000;

/** A state is persisted when this many events were folded since the last time … */
const PERSIST_EVENTS_MIN = 1_000;

/** … and this part of the stream: writing a large state must not cost more than folding what it spares. */
const PERSIST_PART_MIN = 1 / 32;

export const blank = <State>(state: State): Known<State> => ({
  state,
  ...CHAIN_START,
  recordedAt: '',
  answered: new Map(),
  unsaved: 0,
});

export function fold<State, Event extends EventShape>(
  known: Known<State>,
  event: Recorded<Event>,
  decider: Pick<Decider<State, never, Event>, 'evolve'>,
): void {
  known.state = decider.evolve(known.state, event);
  known.version = Number(event.version);
  known.hash = event.hash;
  known.recordedAt = event.recordedAt;
  known.unsaved += 1;
  if (event.commandId === '') return;
  const firstVersion = known.answered.get(event.commandId)?.firstVersion ?? known.version;
  known.answered.set(event.commandId, {
    digest: event.commandDigest,
    firstVersion,
    lastVersion: known.version, // All events of a command stand together: they were one append.
  });
}

export const sizeOf = <State>(
  known: Known<State>,
  decider: Pick<Decider<State, never, EventShape>, 'sizeBytes'>,
): number => KNOWN_BYTES + decider.sizeBytes(known.state) + known.answered.size * ANSWERED_BYTES;

export const isDueToPersist = ({ unsaved, version }: Known<unknown>): boolean =>
  unsaved >= PERSIST_EVENTS_MIN && unsaved >= version * PERSIST_PART_MIN;

export function persisted<State>(known: Known<State>, evolveVersion: number): PersistedState {
  const { state, version, hash, recordedAt, answered } = known;
  return { version, hash, evolveVersion, bytes: serialize({ state, recordedAt, answered }) };
}

/** The caller has checked who wrote it. */
export function revived<State>({ version, hash, bytes }: PersistedState): Known<State> {
  const kept = deserialize(bytes) as Pick<Known<State>, 'state' | 'recordedAt' | 'answered'>;
  return { ...kept, version, hash, unsaved: 0 };
}
