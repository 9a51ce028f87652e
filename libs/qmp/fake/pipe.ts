import type { Connection } from '#world';

/** Runs `work` in a later microtask. What was put off first runs first. */
const later = (work: () => void): void => void Promise.resolve().then(work);

/** What the fake's end of a pipe is told. */
export interface FarEnd {
  hear(text: string): void;
  /** The client closed, or `end` was called. Called once. */
  over(): void;
}

/** A connection in memory. Everything arrives in a later microtask and in order, as over a socket. */
export class Pipe implements Connection {
  readonly #far: FarEnd;
  #listener: ((text: string) => void) | null = null;
  /** What reached the client before it listened; null once it does. */
  #early: (() => void)[] | null = [];
  #closeListeners: (() => void)[] = [];
  #isEnding = false;
  #isClosed = false;

  constructor(far: FarEnd) {
    this.#far = far;
  }

  write(text: string): void {
    later(() => {
      if (!this.#isEnding) this.#far.hear(text);
    });
  }

  onText(listener: (text: string) => void): void {
    this.#listener = listener;
    later(() => {
      const early = this.#early ?? [];
      this.#early = null;
      for (const arrive of early) arrive();
    });
  }

  onClose(listener: () => void): void {
    if (this.#isClosed) later(listener);
    else this.#closeListeners.push(listener);
  }

  close(): void {
    later(() => {
      this.#hangUp();
      this.#closed();
    });
  }

  /** Whether the fake has hung up, or learnt that the client has: nothing more is heard. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** The fake's end: sends to the client. Lost after `end`. */
  say(text: string): void {
    if (!this.#isEnding) this.#deliver(() => this.#listener?.(text));
  }

  /** The fake's end: closes after everything said so far has arrived. */
  end(): void {
    this.#hangUp();
    this.#deliver(() => this.#closed());
  }

  #deliver(arrive: () => void): void {
    const arriveIfOpen = (): void => {
      if (!this.#isClosed) arrive();
    };
    later(() => {
      if (this.#early) this.#early.push(arriveIfOpen);
      else arriveIfOpen();
    });
  }

  #hangUp(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    later(() => this.#far.over());
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const tell of this.#closeListeners) tell();
  }
}
