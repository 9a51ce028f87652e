import { rfc3339, type World } from '#world';
import { type Asked, type Decider, type Handled, KeyReused, recorded, StaleVersion } from './decider.ts';
import type { EventShape, Recorded, SealedEvent } from './envelope.ts';
import { type Answered, fold, type Known } from './known.ts';
import { Lanes } from './lanes.ts';
import { type LedgerParts, Recall } from './recall.ts';
import { digestOf, seal } from './seal.ts';
import { comparePositions, type EventStore, StoreTrouble, VersionConflict } from './store.ts';

/** How often one command is decided on, while others keep appending first. */
export const ATTEMPTS_MAX = 5;

/** Events that one command may record: they are one transaction, and held in memory together. */
const EVENTS_PER_COMMAND_MAX = 10_000;

/** Where commands become events. Nothing else appends to the store. */
export interface Ledger<State, Command, Event extends EventShape> {
  /**
   * Decides on a command and records what happens, all of it or nothing; resolves when that is on disk.
   * A command on a stream waits for the commit of the one before it, so no refusal and no replayed answer
   * ever rests on what is not committed.
   *
   * The key is looked at first, then `expectedVersion`, then the domain is asked. Throws `KeyReused`,
   * `StaleVersion` and the domain's refusal (none of them binds the key), `NotJson`, `UnknownEvent`, and
   * `StoreTrouble`: while its `effect` is `unknown` only the same command with the same key can tell.
   */
  handle(stream: string, command: Command, asked: Asked): Promise<Handled<Event>>;
  /**
   * The first answer again when the key was used before, null when it was not: for whoever has work to do in
   * another stream first. Throws `KeyReused` when the key stands for another request.
   */
  answered(stream: string, asked: Asked): Promise<Handled<Event> | null>;
  /**
   * What the stream has come to, after the commands that were asked before.
   * The state goes on changing: read from it at once and keep nothing of it.
   */
  state(stream: string): Promise<{ state: Readonly<State>; version: number }>;
  /** The last position that this ledger has answered with; null before the first. */
  acknowledged(): string | null;
  /** Finishes what was begun and persists the states. Closes neither the store nor the state store. */
  close(): Promise<void>;
}

export const openLedger = <State, Command, Event extends EventShape>(
  parts: LedgerParts<State, Command, Event>,
): Ledger<State, Command, Event> => new StreamLedger(parts);

interface Ask<Command> {
  readonly stream: string;
  readonly command: Command;
  readonly asked: Asked;
  readonly digest: string;
}

type Verdict<Event> =
  | { readonly does: 'repeat'; readonly answered: Answered }
  | { readonly does: 'record'; readonly events: readonly Event[] }
  | { readonly does: 'refuse'; readonly refusal: unknown }
  | { readonly does: 'nothing' };

class StreamLedger<State, Command, Event extends EventShape> implements Ledger<State, Command, Event> {
  readonly #world: World;
  readonly #store: EventStore;
  readonly #decider: Decider<State, Command, Event>;
  readonly #recall: Recall<State, Event>;
  readonly #lanes = new Lanes();
  #acknowledged: string | null = null;
  #isClosed = false;

  constructor(parts: LedgerParts<State, Command, Event>) {
    this.#world = parts.world;
    this.#store = parts.store;
    this.#decider = parts.decider;
    this.#recall = new Recall(parts);
  }

  async handle(stream: string, command: Command, asked: Asked): Promise<Handled<Event>> {
    const ask = { stream, command, asked, digest: digestOf(asked.request) };
    return this.#acknowledge(await this.#inLane(stream, () => this.#answer(ask)));
  }

  async answered(stream: string, asked: Asked): Promise<Handled<Event> | null> {
    return await this.#inLane(stream, async () => {
      const known = await this.#recall.latest(stream);
      const answered = known.answered.get(asked.key ?? '');
      if (answered?.digest === digestOf(asked.request)) {
        return this.#acknowledge(await this.#repeat(known, stream, answered));
      }
      await this.#recall.keep(stream, known);
      if (answered) throw new KeyReused(asked.key ?? '');
      return null;
    });
  }

  async state(stream: string): Promise<{ state: Readonly<State>; version: number }> {
    return await this.#inLane(stream, async () => {
      const known = await this.#recall.latest(stream);
      await this.#recall.keep(stream, known);
      return { state: known.state, version: known.version };
    });
  }

  acknowledged(): string | null {
    return this.#acknowledged;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#lanes.idle();
    await this.#recall.persistAll();
  }

  async #inLane<T>(stream: string, work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new StoreTrouble('unavailable', 'the ledger is closed');
    return await this.#lanes.run(stream, work);
  }

  #acknowledge(handled: Handled<Event>): Handled<Event> {
    const last = handled.events.at(-1)?.position;
    if (last !== undefined && comparePositions(last, this.#acknowledged ?? '') > 0) this.#acknowledged = last;
    return handled;
  }

  async #answer(ask: Ask<Command>): Promise<Handled<Event>> {
    const { stream } = ask;
    let known = await this.#recall.take(stream);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const { version } = known;
      const verdict = this.#judge(known, ask);
      if (verdict.does === 'repeat') return await this.#repeat(known, stream, verdict.answered);
      if (verdict.does === 'record') {
        const events = await this.#record(known, ask, verdict.events);
        if (events) return await this.#done(known, stream, events);
      }
      // Others may append to this store too: nobody is refused for what is no longer so.
      known = await this.#recall.caughtUp(stream, known);
      if (verdict.does === 'record' || known.version !== version) continue;
      await this.#recall.keep(stream, known);
      if (verdict.does === 'refuse') throw verdict.refusal;
      return { version, events: [], replayed: false };
    }
    throw new StoreTrouble(
      'unavailable',
      `others appended to ${stream} first, ${ATTEMPTS_MAX} times: ask again`,
    );
  }

  #judge(known: Known<State>, { command, asked, digest }: Ask<Command>): Verdict<Event> {
    const { key = '', expectedVersion = known.version } = asked;
    const answered = known.answered.get(key);
    if (answered?.digest === digest) return { does: 'repeat', answered };
    if (answered) return { does: 'refuse', refusal: new KeyReused(key) };
    if (expectedVersion !== known.version) {
      return { does: 'refuse', refusal: new StaleVersion(expectedVersion, known.version) };
    }
    try {
      const events = this.#decider.decide(command, known.state);
      return events.length === 0 ? { does: 'nothing' } : { does: 'record', events };
    } catch (refusal) {
      return { does: 'refuse', refusal };
    }
  }

  async #repeat(known: Known<State>, stream: string, answered: Answered): Promise<Handled<Event>> {
    const { firstVersion, lastVersion } = answered;
    const { events } = await this.#store.read(stream, firstVersion, lastVersion - firstVersion + 1);
    await this.#recall.keep(stream, known);
    const first = events.map((event) => recorded<Event>(event, this.#decider));
    return { version: lastVersion, events: first, replayed: true };
  }

  async #done(
    known: Known<State>,
    stream: string,
    events: readonly Recorded<Event>[],
  ): Promise<Handled<Event>> {
    for (const event of events) fold(known, event, this.#decider);
    await this.#recall.keep(stream, known);
    return { version: known.version, events, replayed: false };
  }

  /** Null when somebody else appended first. */
  async #record(
    known: Known<State>,
    ask: Ask<Command>,
    events: readonly Event[],
  ): Promise<readonly Recorded<Event>[] | null> {
    const { stream } = ask;
    const sealed = this.#sealed(known, ask, events);
    // Read back before it is recorded: what this program could not read must never get into the log.
    const drafts = sealed.map(({ record, previousHash, hash }, index) => {
      const version = known.version + 1 + index;
      const stored = { position: '', stream, version, previousHash, hash, record };
      return recorded<Event>(stored, this.#decider);
    });
    const positions = await this.#append(stream, known.version, sealed);
    return positions && drafts.map((draft, index) => ({ ...draft, position: positions[index] ?? '' }));
  }

  #sealed(known: Known<State>, ask: Ask<Command>, events: readonly Event[]): readonly SealedEvent[] {
    if (events.length > EVENTS_PER_COMMAND_MAX) throw new Error(`one command made ${events.length} events`);
    const { actor, correlationId, causationId = '', key: commandId = '' } = ask.asked;
    const now = rfc3339(this.#world.clock.now());
    const recordedAt = now > known.recordedAt ? now : known.recordedAt; // The clock may have been put back.
    const by = { stream: ask.stream, recordedAt, actor, correlationId, causationId, commandId };
    let previousHash = known.hash;
    return events.map(({ type, data }, index) => {
      const id = this.#world.ids.uuid();
      const version = String(known.version + 1 + index);
      const schemaVersion = this.#decider.schemaVersionOf(type);
      const envelope = { id, type, version, ...by, commandDigest: ask.digest, schemaVersion, data };
      const sealed = seal(envelope, previousHash);
      previousHash = sealed.hash;
      return sealed;
    });
  }

  /** Null when somebody else appended first. */
  async #append(stream: string, version: number, sealed: readonly SealedEvent[]): Promise<string[] | null> {
    try {
      return await this.#store.append(stream, version, sealed);
    } catch (error) {
      if (error instanceof VersionConflict) return null;
      if (!(error instanceof StoreTrouble) || error.effect === 'none') throw error;
      const positions = await this.#found(stream, version, sealed);
      if (positions) return positions;
      throw error;
    }
  }

  /** After an append whose fate is unknown: the events' positions, when a look shows them in the log. */
  async #found(stream: string, version: number, sealed: readonly SealedEvent[]): Promise<string[] | null> {
    try {
      const { events } = await this.#store.read(stream, version + 1, sealed.length);
      return events[0]?.hash === sealed[0]?.hash ? events.map(({ position }) => position) : null;
    } catch (error) {
      if (error instanceof StoreTrouble) return null; // The first trouble tells the caller all that is known.
      throw error;
    }
  }
}
