import type { Clock, Connection } from '#world';
import { awaitJob, runJob } from './job.ts';
import { Listener } from './listener.ts';
import type {
  ExecuteOptions,
  JobArguments,
  JobOptions,
  Monitor,
  OpenOptions,
  QmpArguments,
  QmpListener,
  QmpVersion,
} from './monitor.ts';
import { entryOf } from './transcript.ts';
import { MonitorTrouble, QmpRefused, QmpUnknown } from './trouble.ts';
import { LINE_CHARACTERS_MAX, Lines, type Message, messageOf } from './wire.ts';

/** A free monitor greets in a millisecond, but one whose QEMU is saving a machine's memory is silent meanwhile. */
export const GREETING_TIMEOUT_MS = 2_000;
/** Enough for any `query-status`, plenty for a transaction over a few disks: two take about 3 ms. */
const COMMAND_TIMEOUT_MS = 10_000;
/** More would only pile up: QEMU answers one after the other. */
export const COMMANDS_WAITING_MAX = 1024;
/** More is a listener that somebody forgot to close. */
export const LISTENERS_MAX = 64;

const GREETING_ID = 0; // The greeting is awaited like an answer; commands count from 1.
const NOT_GREETED: QmpVersion = { major: 0, minor: 0, micro: 0 };

interface Waiting {
  readonly command: string;
  /** Ends the sleep that would declare the command unknown. */
  readonly timer: AbortController;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: QmpRefused | QmpUnknown) => void;
}

/** As short as it can be: QEMU takes in one character at a time, and a hundred of them take it as long as a command. */
const lineOf = (execute: string, args: QmpArguments, id: number): string =>
  JSON.stringify({ execute, ...(Object.keys(args).length > 0 && { arguments: args }), id });

/** The talk over one connection: who waits for which answer, who listens to what, and how it ended. */
export class Session implements Monitor {
  version = NOT_GREETED;
  isOpen = true;
  /** What the other side said that QEMU would never say; null while it behaves. */
  fault: string | null = null;
  /** Settles when the greeting has come, or throws `QmpUnknown`. */
  readonly greeted: Promise<unknown>;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #options: OpenOptions;
  readonly #lines = new Lines();
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<Listener>();
  #closeListeners: (() => void)[] = [];
  #lastId = GREETING_ID;
  #unsent: string[] = [];

  constructor(clock: Clock, connection: Connection, options: OpenOptions) {
    this.#clock = clock;
    this.#connection = connection;
    this.#options = options;
    const { greetingTimeoutMs = GREETING_TIMEOUT_MS } = options;
    this.greeted = this.#answerTo(GREETING_ID, 'the greeting', greetingTimeoutMs);
    connection.onClose(() => this.#end('the connection was closed'));
    connection.onText((text) => this.#hear(text));
  }

  async execute(command: string, args: QmpArguments = {}, options: ExecuteOptions = {}): Promise<unknown> {
    if (!this.isOpen) throw new MonitorTrouble('closed', `${command} was not sent: the session is over`);
    if (this.#waiting.size === COMMANDS_WAITING_MAX) throw new Error(`${COMMANDS_WAITING_MAX} commands wait`);
    const { timeoutMs = this.#options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS } = options;
    const id = ++this.#lastId;
    const line = lineOf(command, args, id);
    const answer = this.#answerTo(id, command, timeoutMs); // Before the write: the answer may be quick.
    this.#record('sent', line);
    void this.#send(`${line}\n`);
    return answer;
  }

  /** What is asked together goes out in one piece: each piece wakes QEMU, and nobody is the wiser for the first half. */
  async #send(line: string): Promise<void> {
    this.#unsent.push(line);
    if (this.#unsent.length > 1) return;
    await Promise.resolve(); // Whoever asks together has asked by then.
    const text = this.#unsent.join('');
    this.#unsent = [];
    if (this.isOpen) this.#connection.write(text);
  }

  runJob(command: string, args: JobArguments, options?: JobOptions): Promise<void> {
    return runJob({ monitor: this, clock: this.#clock }, command, args, options);
  }

  awaitJob(jobId: string, options?: JobOptions): Promise<void> {
    return awaitJob({ monitor: this, clock: this.#clock }, jobId, options);
  }

  listen(names: readonly string[]): QmpListener {
    if (this.#listeners.size === LISTENERS_MAX) throw new Error(`${LISTENERS_MAX} listeners are open`);
    const listener: Listener = new Listener(this.#clock, names, () => this.#listeners.delete(listener));
    if (this.isOpen) this.#listeners.add(listener);
    else listener.end();
    return listener;
  }

  onClose(listener: () => void): void {
    if (this.isOpen) this.#closeListeners.push(listener);
    else listener();
  }

  close(): void {
    this.#end('we closed the session');
  }

  #answerTo(id: number, command: string, timeoutMs: number): Promise<unknown> {
    const timer = new AbortController();
    void this.#expire(id, timeoutMs, timer.signal);
    return new Promise((resolve, reject) => this.#waiting.set(id, { command, timer, resolve, reject }));
  }

  async #expire(id: number, timeoutMs: number, answered: AbortSignal): Promise<void> {
    await this.#clock.sleep(timeoutMs, answered);
    const waiting = this.#taken(id);
    waiting?.reject(new QmpUnknown(waiting.command, 'timeout', `no answer within ${timeoutMs} ms`));
  }

  /** Whoever waits for answer `id`, who then waits no more: an answer that comes twice or too late finds nobody. */
  #taken(id: unknown): Waiting | undefined {
    const waiting = typeof id === 'number' ? this.#waiting.get(id) : undefined;
    if (typeof id === 'number') this.#waiting.delete(id);
    waiting?.timer.abort('answered'); // Without a reason an error and its stack are made, for every command.
    return waiting;
  }

  #hear(text: string): void {
    for (const line of this.#lines.take(text)) this.#hearLine(line);
    if (this.#lines.rest.length > LINE_CHARACTERS_MAX) this.#hearLine(this.#lines.rest);
  }

  #hearLine(line: string): void {
    if (!this.isOpen) return;
    this.#record('received', line);
    if (line.length > LINE_CHARACTERS_MAX) return this.#fail('a line that is too long');
    const message = messageOf(line);
    if (!message) return this.#fail('a line that is not QMP');
    const isGreeted = this.version !== NOT_GREETED; // The greeting comes first, and once.
    if (isGreeted === (message.kind === 'greeting')) return this.#fail('a greeting out of place');
    this.#handle(message);
  }

  #handle(message: Message): void {
    switch (message.kind) {
      case 'greeting':
        this.version = message.version;
        return this.#taken(GREETING_ID)?.resolve(null);
      case 'event':
        for (const listener of this.#listeners) listener.hear(message.event);
        return;
      case 'return':
        return this.#taken(message.id)?.resolve(message.value);
      case 'error':
        return this.#refused(message);
    }
  }

  /** QEMU leaves the id out when it could not read what we sent. Which of our commands that was nobody can tell. */
  #refused({ id, errorClass, description }: Message & { kind: 'error' }): void {
    if (id === undefined && this.#waiting.size > 0) return this.#fail(`an error without id: ${description}`);
    const waiting = this.#taken(id);
    waiting?.reject(new QmpRefused(waiting.command, errorClass, description));
  }

  #fail(fault: string): void {
    this.fault = fault;
    this.#end(`the session was closed after ${fault}`);
  }

  #end(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const [id, { command }] of this.#waiting) {
      this.#taken(id)?.reject(new QmpUnknown(command, 'closed', reason));
    }
    for (const listener of this.#listeners) listener.end();
    this.#connection.close();
    for (const tell of this.#closeListeners) tell();
    this.#closeListeners = [];
  }

  #record(direction: 'sent' | 'received', line: string): void {
    this.#options.transcript?.(entryOf(direction, this.#clock.now(), line));
  }
}
