import type { Command } from 'commander';
import { openApi, type Answer, type Api, type Guards } from './api.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { ownTrouble } from './problem.ts';
import { safeJson, screenOf, type Screen } from './screen.ts';
import type { Surroundings } from './surroundings.ts';

/** Options that every command understands, and the guards that some do. */
export interface CommonOptions extends Guards {
  readonly json?: boolean;
  readonly url?: string;
  readonly token?: string;
  readonly ascii?: boolean;
}

/** One command being carried out. */
export interface Session {
  readonly around: Surroundings;
  readonly api: Api;
  /** How the person wants the command guarded. */
  readonly guards: Guards;
  /** How things look on the standard output. */
  readonly screen: Screen;
  readonly isJson: boolean;
  /** The answer as it came when --json was given, else what is drawn of it. */
  show<T>(answer: Answer<T>, draw: (body: T) => string): Promise<void>;
  print(text: string): Promise<void>;
  /** A line for the person at the terminal. Scripts that asked for JSON do not see it. */
  remark(line: string): Promise<void>;
}

/** Makes commander's action out of what a command does. Without an exit code all went well. */
export type Does = <A extends unknown[]>(
  work: (session: Session, ...args: A) => Promise<ExitCode | void>,
) => (...all: [...A, Command]) => Promise<void>;

export const actionsIn =
  (around: Surroundings, ended: (code: ExitCode) => void): Does =>
  <A extends unknown[]>(work: (session: Session, ...args: A) => Promise<ExitCode | void>) =>
  async (...all: [...A, Command]) => {
    const command = all.at(-1) as Command; // Commander hands over the arguments, the options, and itself.
    const args = all.slice(0, -1) as A;
    ended((await work(openSession(command.optsWithGlobals(), around), ...args)) ?? EXIT.ok);
  };

function openSession(options: CommonOptions, around: Surroundings): Session {
  const { out, err, env } = around;
  const isJson = options.json === true;
  const screen = screenOf(out, around, options.ascii);
  const print = (text: string): Promise<void> => out.write(text);
  const url = originOf(options.url ?? env['SNAPLEDGER_URL'] ?? 'http://127.0.0.1:7420');
  const token = tokenIn(options.token ?? env['SNAPLEDGER_TOKEN'] ?? null);
  return {
    around,
    api: openApi({ url, token }, around),
    guards: guardsIn(options),
    screen,
    isJson,
    print,
    remark: async (line) => (isJson ? undefined : err.write(`${line}\n`)),
    async show(answer, draw) {
      if (!isJson) return print(draw(answer.body));
      if (answer.text !== '') await print(`${safeJson(answer.text.trimEnd())}\n`);
    },
  };
}

function originOf(text: string): string {
  const url = URL.parse(text);
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== '' ||
    url.hash !== '' ||
    url.username !== ''
  ) {
    throw ownTrouble('usage', `"${text}" is no address of ledgerd; one looks like http://127.0.0.1:7420`);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

function tokenIn(token: string | null): string | null {
  if (token === null || token === '') return null;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw ownTrouble('usage', 'a token has printable ASCII characters only');
}

function guardsIn({ key, ifMatch }: Guards): Guards {
  if (key !== undefined && !/^[\x20-\x7e]{1,255}$/.test(key)) {
    throw ownTrouble('usage', 'a --key has 1 to 255 printable ASCII characters');
  }
  const version = ifMatch?.replace(/^"(.*)"$/, '$1');
  if (version !== undefined && !/^\d+$/.test(version)) {
    throw ownTrouble('usage', '--if-match takes a version, such as 7');
  }
  return { ...(key === undefined ? {} : { key }), ...(version === undefined ? {} : { ifMatch: version }) };
}
