import type { ShownOperation } from './answers.ts';
import { screenOf } from './screen.ts';
import type { Session } from './session.ts';
import { fitted } from './width.ts';

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
      await err.write(err.isTerminal ? `\r\u001b[K${fitted(line, err.columns - 1)}` : `${line}\n`);
    },
    async clear() {
      if (err.isTerminal && shown !== '') await err.write('\r\u001b[K');
    },
  };
}

function wordsOf({ kind, phase, percent }: ShownOperation, step: number): string {
  const share = percent === null ? '' : ` ${Math.floor(percent / step) * step} %`;
  return `${kind}: ${phase || 'waiting'}${share}`;
}
