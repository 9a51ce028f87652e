import type { World } from '#world';
import type { Http } from './http.ts';

/** Where text goes: a terminal, a file or a pipe. */
export interface Sink {
  /** Resolves when the text has left the process: whoever waits never fills the memory. */
  write(text: string): Promise<void>;
  readonly isTerminal: boolean;
  /** Width of the terminal; 80 where there is none. */
  readonly columns: number;
}

/** Everything outside the program, lent to it by `main.ts` or by a test. */
export interface Surroundings {
  readonly out: Sink;
  readonly err: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; what relative paths on the command line start from. */
  readonly cwd: string;
  /** What this host is called. */
  readonly hostname: string;
  /** Of the installed package. */
  readonly version: string;
  readonly http: Http;
  /** Loaded when first needed: most commands need none, and every millisecond of the start is felt. */
  readonly world: () => Promise<World>;
  /** Aborts when the person presses Ctrl-C. */
  readonly interrupted: AbortSignal;
}
