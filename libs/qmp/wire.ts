import type { QmpEvent, QmpVersion } from './monitor.ts';
import { QmpGarbled } from './trouble.ts';
import { Reply } from './reply.ts';

/** As in libvirt. A line that is longer is not QEMU's, or too much to keep in memory. */
export const LINE_CHARACTERS_MAX = 10 * 1024 * 1024;

/** Cuts what arrives into lines. Looks at every character once, however small the pieces. */
export class Lines {
  #rest = '';

  /** The lines that `text` completes, without their ends and without blank ones. */
  take(text: string): string[] {
    const lines = text.split('\n');
    lines[0] = this.#rest + (lines[0] ?? '');
    this.#rest = lines.pop() ?? '';
    return lines.map((line) => line.trim()).filter((line) => line !== '');
  }

  /** What came after the last line's end. */
  get rest(): string {
    return this.#rest;
  }
}

/** What QEMU says: `{"QMP": …}` once, then `{"event": …}`, `{"return": …, "id"}` and `{"error": …, "id"}`. */
export type Message =
  | { readonly kind: 'greeting'; readonly version: QmpVersion }
  | { readonly kind: 'event'; readonly event: QmpEvent }
  | { readonly kind: 'return'; readonly id: unknown; readonly value: unknown }
  | {
      readonly kind: 'error';
      readonly id: unknown;
      readonly errorClass: string;
      readonly description: string;
    };

/** Reads one line; null when it is none of QEMU's. */
export function messageOf(line: string): Message | null {
  try {
    return read(JSON.parse(line));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof QmpGarbled) return null;
    throw error;
  }
}

function read(value: unknown): Message | null {
  const message = new Reply(value, 'message');
  const id = message.optional('id')?.value; // Undefined when the message bears none.
  const greeting = message.optional('QMP');
  if (greeting) return { kind: 'greeting', version: versionOf(greeting.member('version').member('qemu')) };
  const event = message.optional('event');
  if (event)
    return { kind: 'event', event: { name: event.text(), data: message.optional('data')?.object() ?? {} } };
  const error = message.optional('error');
  if (error) {
    return {
      kind: 'error',
      id,
      errorClass: error.member('class').text(),
      description: error.member('desc').text(),
    };
  }
  const result = message.optional('return');
  return result && { kind: 'return', id, value: result.value };
}

const versionOf = (qemu: Reply): QmpVersion => ({
  major: qemu.member('major').number(),
  minor: qemu.member('minor').number(),
  micro: qemu.member('micro').number(),
});
