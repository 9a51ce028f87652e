/* Somebody who follows the log over HTTP, loses the connection and comes back. */
import { setTimeout } from 'node:timers/promises';
import type { Ledgerd } from './ledgerd.ts';

const AGAIN_MS = 200;

export class Watcher {
  /** How many events it has seen. */
  seen = 0;
  /** Events that came out of order, or twice. */
  readonly wrong: string[] = [];
  #last = 0;
  #connection = new AbortController();
  readonly #ledgerd: Ledgerd;

  constructor(ledgerd: Ledgerd) {
    this.#ledgerd = ledgerd;
  }

  /** From the first event on, until the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#connection = new AbortController();
      await this.#read(AbortSignal.any([signal, this.#connection.signal])).catch(() => undefined); // It was cut.
      await setTimeout(AGAIN_MS);
    }
  }

  cut(): void {
    this.#connection.abort();
  }

  async #read(signal: AbortSignal): Promise<void> {
    const from = this.#last === 0 ? '?afterPosition=0' : '';
    const headers: Record<string, string> = this.#last === 0 ? {} : { 'last-event-id': `${this.#last}` };
    const { body } = await fetch(`${this.#ledgerd.url}/v1/watch${from}`, { headers, signal });
    let rest = '';
    for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#take(/^id: (\d+)$/m.exec(block)?.[1]);
    }
  }

  #take(id: string | undefined): void {
    if (id === undefined) return;
    const position = Number(id);
    if (position <= this.#last) this.wrong.push(`a watcher has seen ${position} after ${this.#last}`);
    this.#last = position;
    this.seen += 1;
  }
}
