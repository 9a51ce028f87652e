import { ConnectTrouble, type Connect } from '#world';
import type { QmpArguments } from '../monitor.ts';
import { type FakeCommand, type FakeDeath, Talk } from './talk.ts';

/** Returned by a handler that sends its answers itself, or none at all. */
export const fakeSilence: unique symbol = Symbol('no answer');

/** Returned by a handler that says no. */
export const fakeRefusal = (description: string, errorClass = 'GenericError'): FakeRefusal =>
  new FakeRefusal(description, errorClass);

class FakeRefusal {
  readonly description: string;
  readonly errorClass: string;
  constructor(description: string, errorClass: string) {
    this.description = description;
    this.errorClass = errorClass;
  }
}

/**
 * Answers a command. What it returns is the `return` (`{}` for undefined), `fakeRefusal` says no, `fakeSilence`
 * says nothing. As in QEMU one command runs after the other: a promise makes its own answer late and all that
 * follow; one that never settles is a hang. To answer out of order, be silent and keep the call for later.
 * A handler that throws breaks the test: nobody catches it.
 */
export type FakeHandler = (args: QmpArguments, call: FakeCall) => unknown;

/** The command being answered, for handlers that misbehave by hand. */
export interface FakeCall {
  readonly id: unknown;
  /** Answers under this command's id or, to confuse, under another one. */
  reply(value: unknown, id?: unknown): void;
  refuse(description: string, errorClass?: string, id?: unknown): void;
  /** Sends an event to this client only. */
  emit(name: string, data?: QmpArguments): void;
  /** Sends text as it is. */
  raw(text: string): void;
  /** Ends the conversation after what was said so far. */
  hangUp(): void;
}

export interface FakeScript {
  /** What is said first: QEMU 7.2's greeting when absent, this text as it is, or nothing at all for null. */
  readonly greeting?: string | null;
  /** By command. The fake negotiates by itself, and refuses what nobody handles as QEMU would. */
  readonly on?: Readonly<Record<string, FakeHandler>>;
  /** Breaks off every conversation at the same place. */
  readonly death?: FakeDeath;
}

export interface FakeMonitor {
  /** The fake as a socket, whatever the path. One client is served, the next ones wait for its end. */
  readonly connect: Connect;
  /** Every complete command that came, oldest first, answered or not; `qmp_capabilities` too. */
  readonly received: readonly FakeCommand[];
  /** Sends an event to the client that is served. Nobody hears it before having negotiated, or ever again. */
  emit(name: string, data?: QmpArguments): void;
  /** Dies like a killed process: all conversations end, what handlers still answer is lost, nobody listens. */
  kill(): void;
  /** Listens again. */
  revive(): void;
}

const NEGOTIATION = 'qmp_capabilities';

/** As many clients as wait in the queue of QEMU's socket; one more gets `EAGAIN`. */
const CLIENTS_WAITING_MAX = 2;

const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": ["oob"]}}\r\n';

/**
 * QEMU's side of QMP in memory. It does what its handlers say and knows nothing of disks. Its only time is the
 * order of microtasks; handlers that need more await a clock of their own.
 */
export const fakeMonitor = (script: FakeScript = {}): FakeMonitor => new Server(script);

class Server implements FakeMonitor {
  readonly received: FakeCommand[] = [];
  readonly #script: FakeScript;
  readonly #handlers: ReadonlyMap<string, FakeHandler>;
  /** The first one is served. */
  #talks: Talk[] = [];
  #isAlive = true;
  /** Settles when the command that runs now has been answered. */
  #running = Promise.resolve();

  constructor(script: FakeScript) {
    this.#script = script;
    this.#handlers = new Map(Object.entries(script.on ?? {}));
  }

  readonly connect: Connect = async (path) => {
    if (!this.#isAlive) throw new ConnectTrouble('ECONNREFUSED', path, `connect ECONNREFUSED ${path}`);
    if (this.#talks.length > CLIENTS_WAITING_MAX)
      throw new ConnectTrouble('EAGAIN', path, `connect EAGAIN ${path}`);
    const talk = new Talk(this, this.#script.death ?? null);
    this.#talks.push(talk);
    if (this.#talks.length === 1) talk.serve();
    return talk.pipe;
  };

  emit(name: string, data: QmpArguments = {}): void {
    const [served] = this.#talks;
    if (served?.isNegotiated) served.say(eventLine(name, data));
  }

  kill(): void {
    this.#isAlive = false;
    this.#running = Promise.resolve();
    for (const talk of this.#talks) talk.pipe.end();
  }

  revive(): void {
    this.#isAlive = true;
  }

  greet(talk: Talk): void {
    const { greeting = GREETING } = this.#script;
    if (greeting !== null) talk.say(greeting);
  }

  over(talk: Talk): void {
    const wasServed = talk === this.#talks[0];
    this.#talks = this.#talks.filter((other) => other !== talk);
    if (wasServed && this.#isAlive) this.#talks[0]?.serve();
  }

  run(talk: Talk, command: FakeCommand): void {
    this.received.push(command);
    const before = this.#running;
    this.#running = this.#answer(talk, command, before);
  }

  async #answer(talk: Talk, { command, args, id }: FakeCommand, before: Promise<void>): Promise<void> {
    await before;
    if (talk.pipe.isEnding) return; // QEMU too drops what a client that left had queued.
    const call = callOf(talk, id);
    const answer = await this.#handlerOf(talk, command)(args, call);
    if (answer === fakeSilence) return;
    if (answer instanceof FakeRefusal) return call.refuse(answer.description, answer.errorClass);
    if (command === NEGOTIATION) talk.isNegotiated = true;
    call.reply(answer ?? {});
  }

  #handlerOf(talk: Talk, command: string): FakeHandler {
    const handler = this.#handlers.get(command);
    if (command === NEGOTIATION) return handler ?? (() => ({}));
    if (!talk.isNegotiated)
      return () => fakeRefusal(`Expecting capabilities negotiation with '${NEGOTIATION}'`, 'CommandNotFound');
    return handler ?? (() => fakeRefusal(`The command ${command} has not been found`, 'CommandNotFound'));
  }
}

const callOf = (talk: Talk, ownId: unknown): FakeCall => ({
  id: ownId,
  reply: (value, id = ownId) => talk.say(`${JSON.stringify({ return: value, id })}\r\n`),
  refuse: (desc, errorClass = 'GenericError', id = ownId) =>
    talk.say(`${JSON.stringify({ id, error: { class: errorClass, desc } })}\r\n`),
  emit: (name, data = {}) => talk.say(eventLine(name, data)),
  raw: (text) => talk.say(text),
  hangUp: () => talk.pipe.end(),
});

const eventLine = (event: string, data: QmpArguments): string =>
  `${JSON.stringify({ timestamp: { seconds: 0, microseconds: 0 }, event, data })}\r\n`;
