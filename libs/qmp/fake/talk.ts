import type { QmpArguments } from '../monitor.ts';
import { type FarEnd, Pipe } from './pipe.ts';

/** Where a conversation breaks off: after so many characters of what the fake sent, or of what it received. */
export interface FakeDeath {
  readonly of: 'sent' | 'received';
  readonly afterCharacters: number;
}

/** A complete command that came in. */
export interface FakeCommand {
  readonly command: string;
  readonly args: QmpArguments;
  readonly id: unknown;
}

/** Whoever talks: the server with all its conversations. */
interface Host {
  greet(talk: Talk): void;
  run(talk: Talk, command: FakeCommand): void;
  over(talk: Talk): void;
}

/** One conversation: a client that waits for its turn, then is served until either side ends it. */
export class Talk implements FarEnd {
  readonly pipe: Pipe;
  isNegotiated = false;
  readonly #host: Host;
  readonly #death: FakeDeath | null;
  #isServed = false;
  #unread = '';
  #sentCount = 0;
  #receivedCount = 0;

  constructor(host: Host, death: FakeDeath | null) {
    this.#host = host;
    this.#death = death;
    this.pipe = new Pipe(this);
  }

  /** Its turn has come. What it sent while it waited is read now, as QEMU does. */
  serve(): void {
    this.#isServed = true;
    this.#host.greet(this);
    this.#read();
  }

  hear(text: string): void {
    const left = this.#leftOf('received') - this.#receivedCount;
    this.#receivedCount += text.length;
    this.#unread += text.slice(0, left);
    if (this.#isServed) this.#read();
    if (text.length >= left) this.pipe.end();
  }

  over(): void {
    this.#host.over(this);
  }

  say(text: string): void {
    const left = this.#leftOf('sent') - this.#sentCount;
    this.#sentCount += text.length;
    this.pipe.say(text.slice(0, Math.max(0, left)));
    if (text.length >= left) this.pipe.end();
  }

  #leftOf(direction: FakeDeath['of']): number {
    return this.#death?.of === direction ? this.#death.afterCharacters : Number.POSITIVE_INFINITY;
  }

  #read(): void {
    const lines = this.#unread.split('\n');
    this.#unread = lines.pop() ?? '';
    for (const line of lines) this.#host.run(this, commandOf(line));
  }
}

interface Wire {
  readonly execute: string;
  readonly arguments?: QmpArguments;
  readonly id?: unknown;
}

/** Believes that our own client wrote the line; another one's fails the test that uses it. */
function commandOf(line: string): FakeCommand {
  const { execute, arguments: args = {}, id }: Wire = JSON.parse(line);
  return { command: execute, args, id };
}
