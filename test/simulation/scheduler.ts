import { setImmediate } from 'node:timers/promises';
import type { Chance } from './chance.ts';
import type { Trace } from './trace.ts';

export interface Timer {
  cancel(): void;
}

interface Entry {
  readonly atMs: number;
  readonly tie: number;
  readonly order: number;
  readonly label: string;
  /** Null once it was cancelled. */
  action: (() => void) | null;
}

/** How a run ended: what was waited for came, nothing was left to happen, or too much happened. */
export type RunEnd = 'reached' | 'idle' | 'bound';

/**
 * All that will happen in a simulated world, in the order of simulated time. One event runs at a time, and the next
 * one not before every promise chain it set off has come to rest, so that time passes only when nobody can go on.
 * Events of the same instant run in an order drawn by chance.
 */
export class Scheduler {
  readonly #chance: Chance;
  readonly #trace: Trace;
  readonly #heap: Entry[] = [];
  #nowMs = 0;
  #orders = 0;

  constructor(chance: Chance, trace: Trace) {
    this.#chance = chance;
    this.#trace = trace;
  }

  /** Simulated milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Lets something happen `delayMs` from now. */
  after(delayMs: number, label: string, action: () => void): Timer {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    this.#orders += 1;
    const entry: Entry = { atMs, tie: this.#chance.uint32(), order: this.#orders, label, action };
    push(this.#heap, entry);
    return {
      cancel: () => {
        entry.action = null;
      },
    };
  }

  /** Writes a line that is no event: what the one that runs now has led to. */
  note(text: string): void {
    this.#trace.line(this.#nowMs, `  ${text}`);
  }

  /** Lets the next event happen; false when there is none. */
  async step(): Promise<boolean> {
    const isOver = !this.#begin();
    if (!isOver) await atRest();
    return !isOver;
  }

  /** False when there is nothing that could happen. */
  #begin(): boolean {
    let entry = pop(this.#heap);
    while (entry && !entry.action) entry = pop(this.#heap);
    if (!entry?.action) return false;
    this.#nowMs = entry.atMs;
    this.#trace.line(entry.atMs, entry.label);
    entry.action();
    return true;
  }

  /** Steps until `isReached`, looked at between events. */
  async run(isReached: () => boolean, eventsMax: number): Promise<RunEnd> {
    await atRest();
    for (let events = 0; events < eventsMax; events += 1) {
      if (isReached()) return 'reached';
      if (!this.#begin()) return 'idle';
      await (events % TURN_EVERY === 0 ? setImmediate() : atRest());
    }
    return 'bound';
  }
}

/** Events between two turns of Node's loop, in which it tells of promises that nobody looked after. */
const TURN_EVERY = 32;

/**
 * Node empties the whole queue of microtasks before it does what was to be done next: afterwards no promise chain can
 * go on by itself. A turn of its loop would show the same, and costs five times as much.
 */
const atRest = (): Promise<void> => new Promise((resolve) => void process.nextTick(resolve));

const isBefore = (one: Entry, other: Entry): boolean =>
  one.atMs - other.atMs < 0 ||
  (one.atMs === other.atMs && (one.tie - other.tie || one.order - other.order) < 0);

function push(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (!parent || !isBefore(entry, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = entry;
}

function pop(heap: Entry[]): Entry | undefined {
  const [first] = heap;
  const last = heap.pop();
  if (last && last !== first) sink(heap, last);
  return first;
}

function sink(heap: Entry[], entry: Entry): void {
  let at = 0;
  for (;;) {
    const left = heap[2 * at + 1];
    const right = heap[2 * at + 2];
    const child = left && right && isBefore(right, left) ? right : left;
    if (!child || isBefore(entry, child)) break;
    heap[at] = child;
    at = child === left ? 2 * at + 1 : 2 * at + 2;
  }
  heap[at] = entry;
}
