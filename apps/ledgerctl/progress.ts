import type { ShownOperation } from './answers.ts';
import { screenOf } from './screen.ts';
import type { Session } from './session.ts';
import { fitted } from './width.ts';

/** Back to the beginning of the line, and nothing on it. */
const WIPE = '\r\u001b[K';

/** Where nothing can be rewritten, a line is printed when so much has changed. */
const PERCENT_STEP = 10;

/** Shows how far an operation is: one line rewritten on a terminal, a line per change elsewhere, nothing for JSON. */
export interface Progress {
  show(operation: ShownOperation): Promise<void>;
  /** Leaves the terminal as if nothing had been shown. */
  clear(): Promise<void>;
}

export function progressOf(session: Session): Progress {
  const { err } = session.around;
  if (session.isJson) return { show: async () => undefined, clear: async () => undefined };
  const { text } = screenOf(err, session.around);
  let shown = '';
  return {
    async show(operation) {
      const line = text(wordsOf(operation, err.isTerminal ? 1 : PERCENT_STEP));
      if (line === shown) return;
      shown = line;
      await err.write(err.isTerminal ? `${WIPE}${fitted(line, err.columns - 1)}` : `${line}\n`);
    },
    async clear() {
      if (err.isTerminal && shown !== '') await err.write(WIPE);
    },
  };
}

/** Between two numbers a person could not read any more. */
const EVENTS_STEP = 10_000;

/** Shows on a terminal how many events were read; nothing elsewhere. The last call, with null, wipes it out. */
export function readingOf(session: Session): (events: number | null) => Promise<void> {
  const show = phaseOf(session);
  let shown = 0;
  return async (events) => {
    if (events !== null && events - shown < EVENTS_STEP) return;
    shown = events ?? 0;
    await show(events === null ? null : `read ${events} events`);
  };
}

/** Shows on a terminal what is being done; nothing elsewhere. The last call, with null, wipes it out. */
export function phaseOf({ around, isJson }: Session): (words: string | null) => Promise<void> {
  const { err } = around;
  if (isJson || !err.isTerminal) return async () => undefined;
  const { text } = screenOf(err, around);
  let isShown = false;
  return async (words) => {
    if (words === null && !isShown) return;
    isShown = words !== null;
    await err.write(words === null ? WIPE : `${WIPE}${fitted(text(words), err.columns - 1)}`);
  };
}

function wordsOf({ kind, phase, percent }: ShownOperation, step: number): string {
  const share = percent === null ? '' : ` ${Math.floor(percent / step) * step} %`;
  return `${kind}: ${phase || 'waiting'}${share}`;
}
