import { InvalidArgumentError, Option, type Command } from 'commander';

/** Readers of words on the command line. What they refuse, commander turns into a usage error. */

/** `key=value`, gathered. The key ends at the first equals sign. */
export function label(word: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [key, value] = cut(word, word.indexOf('='), 'say key=value');
  return added(before, key, value);
}

const CAPTURES: ReadonlySet<string> = new Set(['none', 'internal', 'external']);

/** `DEVICE=internal|external|none`, gathered. The device ends at the last equals sign: its name may hold others. */
export function capture(word: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [device, mode] = cut(word, word.lastIndexOf('='), 'say DEVICE=internal, =external or =none');
  if (!CAPTURES.has(mode)) throw new InvalidArgumentError(`"${mode}" is none of internal, external, none`);
  return added(before, device, mode);
}

export interface DiskWords {
  readonly device: string;
  readonly file: string;
  readonly format: string;
}

/** `device=...,file=...,format=...`, gathered. A comma inside a value is doubled, as on QEMU's command line. */
export function disk(word: string, before: readonly DiskWords[] = []): readonly DiskWords[] {
  const given = new Map<string, string>();
  for (const [, part = ''] of word.matchAll(/((?:[^,]|,,)+)(?:,|$)/g)) {
    const [key, value] = cut(part, part.indexOf('='), 'say device=...,file=...,format=...');
    if (given.has(key)) throw new InvalidArgumentError(`"${key}" is said twice`);
    given.set(key, value.replaceAll(',,', ','));
  }
  const { device, file, format, ...others } = Object.fromEntries(given);
  const [other] = Object.keys(others);
  if (other !== undefined) throw new InvalidArgumentError(`"${other}" is none of device, file, format`);
  if (!device || !file || !format) throw new InvalidArgumentError('say device=...,file=...,format=...');
  return [...before, { device, file, format }];
}

function cut(word: string, at: number, advice: string): [string, string] {
  if (at < 1) throw new InvalidArgumentError(advice);
  return [word.slice(0, at), word.slice(at + 1)];
}

/** `Object.fromEntries` makes members of their own out of names such as `__proto__`. */
function added(before: Readonly<Record<string, string>>, key: string, value: string): Record<string, string> {
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`"${key}" is said twice`);
  return Object.fromEntries([...Object.entries(before), [key, value]]);
}

/** A number of seconds that is more than nothing. */
export function seconds(word: string): number {
  const value = Number(word);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('say a number of seconds');
  return value;
}

/** Options of every command that changes something. */
export const guarded = (command: Command): Command =>
  command
    .option('--key <key>', 'idempotency key: the same command under the same key is done once')
    .option(
      '--if-match <version>',
      'only if the VM is still at this version, as `show` and `vm show` tell it',
    );

/** Options of every command whose work takes time. */
export const patient = (command: Command): Command =>
  guarded(command)
    .addOption(new Option('--wait', 'wait until it has ended, showing progress (this is the default)'))
    .addOption(new Option('--no-wait', 'return as soon as it is accepted; `operation ID --wait` waits later'))
    .option('--timeout <seconds>', 'stop waiting after so long; the work goes on', seconds);
