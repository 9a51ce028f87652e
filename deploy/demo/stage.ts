import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';

/** Where the demo talks: what it does, what it types, what comes back. */
export class Stage {
  readonly #root: string;
  readonly #data: string;
  readonly #url: string;
  #scene = 0;

  constructor(root: string, data: string, url: string) {
    this.#root = root;
    this.#data = data;
    this.#url = url;
  }

  scene(title: string): void {
    this.#scene += 1;
    console.log(`\n${styleText('bold', `── ${this.#scene}. ${title}`)}`);
  }

  say(text: string): void {
    console.log(text);
  }

  /** Types a `ledgerctl` command for all to see, and shows what it says. Throws when it ends otherwise than expected. */
  type(line: string, expected = 0): string {
    console.log(styleText('cyan', `$ ledgerctl ${line}`));
    const { code, output } = this.#run(words(line), process.stdout.isTTY);
    process.stdout.write(indented(output));
    if (expected !== 0) console.log(styleText('dim', `  (exit code ${code})`));
    if (code !== expected) throw new Error(`ledgerctl ${line}: exit code ${code}, expected ${expected}`);
    return output;
  }

  /** The same without an audience, as JSON. */
  ask<T>(line: string): T {
    const { code, output } = this.#run([...words(line), '--json'], false);
    if (code !== 0) throw new Error(`ledgerctl ${line}: exit code ${code}: ${output}`);
    return JSON.parse(output) as T;
  }

  #run(args: readonly string[], colours: boolean): { code: number | null; output: string } {
    const { status, stdout, stderr } = spawnSync(join(this.#root, 'deploy/ledgerctl'), args, {
      encoding: 'utf8',
      env: {
        ...process.env,
        SNAPLEDGER_URL: this.#url,
        ...(colours ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }),
      },
    });
    return { code: status, output: stderr + stdout }; // Progress comes before the result.
  }

  /** What was said to QEMU in an operation that changes something, and what it answered. */
  transcript(operationId: string): void {
    const path = join(this.#data, 'transcripts', `${operationId}.ndjson`);
    if (!existsSync(path)) return;
    const acted = new Set<unknown>();
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const told = line === '' ? null : acting(line, acted);
      if (told) console.log(styleText('dim', `  ${told}`));
    }
  }
}

const LINE_CHARS_MAX = 150;
const LOOKING = /^(query-|qmp_capabilities|job-dismiss)/;

/** One line of a transcript: said over QMP, or done with qemu-img. */
interface Line {
  readonly direction: string;
  readonly text?: string;
  readonly args?: readonly string[];
}

/** Shows what acts and how it went; leaves out what only looks. */
function acting(line: string, acted: Set<unknown>): string | null {
  const { direction, text, args = [] } = JSON.parse(line) as Line;
  if (direction === 'ran') return args[0] === 'info' ? null : `$ ${shortened(`qemu-img ${args.join(' ')}`)}`;
  if (text === undefined) return null;
  const message = JSON.parse(text) as Message;
  if (direction === 'sent' ? !isAct(message, acted) : !isAnswer(message, acted)) return null;
  return `${direction === 'sent' ? '→' : '←'} ${shortened(text)}`;
}

function isAct({ execute = '', id }: Message, acted: Set<unknown>): boolean {
  if (LOOKING.test(execute)) return false;
  acted.add(id);
  return true;
}

const isAnswer = ({ id, event, data }: Message, acted: ReadonlySet<unknown>): boolean =>
  (event === 'JOB_STATUS_CHANGE' && data?.status === 'concluded') || (id !== undefined && acted.has(id));

interface Message {
  readonly execute?: string;
  readonly id?: unknown;
  readonly event?: string;
  readonly data?: { readonly status?: string };
}

const shortened = (text: string): string =>
  text.length > LINE_CHARS_MAX ? `${text.slice(0, LINE_CHARS_MAX)}…` : text;

const words = (line: string): string[] =>
  (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ''));

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');
