import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

/** From one end of a unix socket to the other. */
const LATENCY_LEAST_MS = 0.02;
const LATENCY_MOST_MS = 0.3;
/** Never at the same instant, for chance decides what of one instant comes first. */
const APART_MS = 0.001;

/** One direction of a stream: what goes in comes out later, in order, and may be cut anywhere. */
export class Pipe {
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;
  readonly #name: string;
  readonly #waiting: (string | null)[] = [];
  #listener: ((text: string) => void) | null = null;
  #onEnd: (() => void) | null = null;
  #arrived: (string | null)[] = [];
  #lastAtMs = 0;
  #isOver = false;

  constructor(scheduler: Scheduler, chance: Chance, name: string) {
    this.#scheduler = scheduler;
    this.#chance = chance;
    this.#name = name;
  }

  /** Sends text; later than usual by `delayMs`, and everything after it as well. */
  send(text: string, delayMs = 0): void {
    if (this.#isOver) return;
    const cut = this.#chance.happens(0.1) ? this.#chance.below(text.length) : 0;
    if (cut > 0 && !isSurrogate(text.charCodeAt(cut))) {
      this.#push(text.slice(0, cut), delayMs);
      this.#push(text.slice(cut), 0);
    } else this.#push(text, delayMs);
  }

  /** The end of the stream: comes after all that was sent. */
  end(): void {
    if (this.#isOver) return;
    this.#push(null, 0);
    this.#isOver = true;
  }

  /** The sender is gone: what is on its way may be lost, from some point on. */
  cut(): void {
    if (this.#isOver) return;
    if (this.#waiting.length > 0) this.#waiting.length = this.#chance.below(this.#waiting.length + 1);
    this.end();
  }

  /** The receiver is gone: nothing comes out any more. */
  abandon(): void {
    this.#isOver = true;
    this.#listener = null;
    this.#onEnd = null;
    this.#waiting.length = 0;
    this.#arrived.length = 0;
  }

  onText(listener: (text: string) => void): void {
    this.#listener = listener;
    this.#deliver();
  }

  onEnd(listener: () => void): void {
    this.#onEnd = listener;
    this.#deliver();
  }

  #push(item: string | null, delayMs: number): void {
    const latencyMs = this.#chance.between(LATENCY_LEAST_MS, LATENCY_MOST_MS) + delayMs;
    this.#lastAtMs = Math.max(this.#lastAtMs + APART_MS, this.#scheduler.nowMs + latencyMs);
    this.#waiting.push(item);
    this.#scheduler.after(this.#lastAtMs - this.#scheduler.nowMs, `${this.#name} ${summary(item)}`, () => {
      const first = this.#waiting.shift();
      if (first === undefined) return; // It was cut off on its way.
      this.#arrived.push(first);
      this.#deliver();
    });
  }

  #deliver(): void {
    while (this.#arrived.length > 0) {
      const [item] = this.#arrived;
      if (typeof item === 'string' ? !this.#listener : !this.#onEnd) return;
      this.#arrived.shift();
      if (typeof item === 'string') this.#listener?.(item);
      else this.#onEnd?.();
    }
  }
}

const LINE_SHOWN = 160;
const summary = (item: string | null): string => item?.trimEnd().slice(0, LINE_SHOWN) ?? 'closed';

const isSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdfff;

/** A connection seen from one of its two ends. */
export class Socket {
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;
  #isOpen = true;
  #closeListeners: (() => void)[] = [];

  constructor(incoming: Pipe, outgoing: Pipe) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    incoming.onEnd(() => this.close());
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  send(text: string, delayMs = 0): void {
    if (this.#isOpen) this.#outgoing.send(text, delayMs);
  }

  onText(listener: (text: string) => void): void {
    this.#incoming.onText(listener);
  }

  onClose(listener: () => void): void {
    if (this.#isOpen) this.#closeListeners.push(listener);
    else listener();
  }

  /** The other side hears of it after everything that was sent. */
  close(): void {
    this.#outgoing.end();
    this.#over();
  }

  /** This side's process is gone, and hears nothing of it itself. */
  die(): void {
    this.#outgoing.cut();
    this.#closeListeners = [];
    this.#over();
  }

  #over(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#incoming.abandon();
    const listeners = this.#closeListeners;
    this.#closeListeners = [];
    for (const tell of listeners) tell();
  }
}

/** Both ends of a new connection: the one that called, and the one that was called. */
export function socketPair(scheduler: Scheduler, chance: Chance, name: string): [Socket, Socket] {
  const there = new Pipe(scheduler, chance, `${name} <-`);
  const back = new Pipe(scheduler, chance, `${name} ->`);
  return [new Socket(back, there), new Socket(there, back)];
}
