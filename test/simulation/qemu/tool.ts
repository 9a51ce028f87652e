import type { Finished } from '#world';
import { isObject, type Json } from './json.ts';
import type { Shelf } from './shelf.ts';
import type { Surroundings, Work } from './work.ts';

interface Syntax {
  readonly flags: ReadonlySet<string>;
  readonly options: ReadonlySet<string>;
}

const syntax = (flags: string, options: string): Syntax => ({
  flags: new Set(flags.split(' ')),
  options: new Set(options.split(' ')),
});

/** What each command of qemu-img takes, as far as anybody here asks. */
const SYNTAX: Readonly<Record<string, Syntax>> = {
  info: syntax('-U --force-share --image-opts', '-f --output'),
  check: syntax('-U --force-share --image-opts -q', '-f -r --output'),
  snapshot: syntax('-U --force-share --image-opts -q -l', '-c -a -d'),
  create: syntax('-q -u', '-f -b -F'),
  rebase: syntax('-q -u', '-f -t -b -F'),
  commit: syntax('-q -d', '-f -t -b'),
  convert: syntax('-q -n', '-f -t -O -B -F'),
  map: syntax('-U --force-share --image-opts', '-f --output'),
  compare: syntax('-q -U --force-share', '-f -F'),
};

export interface ToolArguments {
  readonly command: string;
  readonly flags: ReadonlySet<string>;
  readonly options: ReadonlyMap<string, string>;
  /** As they were written. */
  readonly named: readonly string[];
  readonly unknown: string | null;
}

/** Null for a command that does not exist. */
export function toolArguments(args: readonly string[]): ToolArguments | null {
  const [command = '', ...rest] = args;
  const known = Object.hasOwn(SYNTAX, command) ? SYNTAX[command] : undefined;
  if (!known) return null;
  const flags = new Set<string>();
  const options = new Map<string, string>();
  const named: string[] = [];
  let unknown: string | null = null;
  const words = rest.flatMap((arg) => (arg.startsWith('--output=') ? arg.split('=') : [arg]));
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (known.flags.has(word)) flags.add(word);
    else if (known.options.has(word)) options.set(word, words[(at += 1)] ?? '');
    else if (word.startsWith('-')) unknown ??= word;
    else named.push(word);
  }
  return { command, flags, options, named, unknown };
}

/** The file in a name, in `json:{…}` and in `driver=qcow2,file.driver=file,file.filename=/a,,b` (a comma is doubled). */
export function fileNamed(name: string, isOptions: boolean): string {
  if (isOptions) return /(?:^|,)file\.filename=((?:[^,]|,,)*)/.exec(name)?.[1]?.replaceAll(',,', ',') ?? '';
  if (!name.startsWith('json:')) return name;
  const value: unknown = JSON.parse(name.slice('json:'.length));
  const file = isObject(value) ? value['file'] : null;
  return isObject(file) ? String(file['filename']) : '';
}

/** The file that a `check` takes for itself, whether or not it repairs it; null of all else. */
export function imageChecked(args: readonly string[]): string | null {
  const read = toolArguments(args);
  if (read?.command !== 'check' || read.flags.has('-U') || read.flags.has('--force-share')) return null;
  return fileNamed(read.named[0] ?? '', read.flags.has('--image-opts'));
}

/** How long a slow one may take: whoever started it has given up by then. */
const SLOW_LEAST_MS = 100;
const SLOW_MOST_MS = 20_000;

/** One run of qemu-img: its arguments read, its locks held while it works. */
export interface Invocation extends ToolArguments {
  readonly surroundings: Surroundings;
  readonly shelf: Shelf;
  /** Who holds the locks. */
  readonly holder: string;
}

/** Now and then a process is slow. */
export function* slowly({ chance, faults }: Surroundings): Work<void> {
  if (!faults.happens('image-tool-slow')) return;
  yield { ms: chance.betweenLog(SLOW_LEAST_MS, SLOW_MOST_MS), what: 'is slow' };
}

export const json = (value: Json): string => JSON.stringify(value, null, 4);

export const ok = (stdout = ''): Finished => ({ code: 0, stdout, stderr: '' });

export const failed = (words: string, code = 1): Finished => ({
  ...{ code, stdout: '', stderr: `qemu-img: ${words}\n` },
});
