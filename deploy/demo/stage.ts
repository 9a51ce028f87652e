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
    return { code: status, output: stdout + stderr };
  }

  /** What was said to QEMU in an operation, and what it answered: the lines that change something. */
  transcript(operationId: string): void {
    const path = join(this.#data, 'transcripts', `${operationId}.ndjson`);
    if (!existsSync(path)) return;
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const told = line === '' ? null : changing(line);
      if (told) console.log(styleText('dim', `  ${told}`));
    }
  }
}

const LINE_CHARS_MAX = 150;
const LOOKING = /"execute":"(query-|qmp_capabilities|job-dismiss)/;

/** Shows what acts and how it went; leaves out what only looks. */
function changing(line: string): string | null {
  const { direction, text } = JSON.parse(line) as { direction: string; text: string };
  if (direction === 'sent') return LOOKING.test(text) ? null : `→ ${shortened(text)}`;
  return /^\{"return": ?\{\}|"error"/.test(text) || /"concluded"/.test(text) ? `← ${shortened(text)}` : null;
}

const shortened = (text: string): string =>
  text.length > LINE_CHARS_MAX ? `${text.slice(0, LINE_CHARS_MAX)}…` : text;

const words = (line: string): string[] =>
  (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"|"$/g, ''));

const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');
