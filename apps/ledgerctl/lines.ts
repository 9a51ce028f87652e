import { ownTrouble } from './problem.ts';

/** No event comes near it. */
const LINE_CHARACTERS_MAX = 8 * 1024 * 1024;

/** The lines of a text that arrives in pieces, without their ends. A last line without an end counts too. */
export async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
    if (rest.length > LINE_CHARACTERS_MAX) throw ownTrouble('not-ledgerd', 'a line of the answer has no end');
  }
  if (rest !== '') yield rest;
}

/** One message of a stream of server-sent events (WHATWG HTML, section 9.2). */
export interface ServerSentEvent {
  /** Of this message or the last one before it that had one; '' before the first. */
  readonly id: string;
  readonly data: string;
}

/** Messages as they are complete. Comments keep the connection awake and say nothing; a torn last one is dropped. */
export async function* serverSentEvents(pieces: AsyncIterable<string>): AsyncGenerator<ServerSentEvent> {
  let id = '';
  let data: string[] = [];
  for await (const line of linesOf(pieces)) {
    if (line === '') {
      if (data.length > 0) yield { id, data: data.join('\n') };
      data = [];
      continue;
    }
    const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === 'data') data.push(value);
    if (field === 'id') id = value;
  }
}
