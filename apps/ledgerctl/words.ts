import { InvalidArgumentError, Option, type Command } from 'commander';

/** Readers of words on the command line. What they refuse, commander turns into a usage error. */

/** `key=value`, gathered. The key ends at the first equals sign. */
export function label(word: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [key, value] = cut(word, word.indexOf('='), 'say key=value');
  return added(before, key, value);
}

export interface CapturedDisk {
  readonly device: string;
  readonly snapshot: string;
  readonly file?: string;
  readonly format?: string;
  readonly mode?: string;
}

const WITH_FILE = /^(?<device>.+?)=(?<snapshot>external):(?<file>\/.*)$/;
const WITHOUT_FILE = /^(?<device>.+)=(?<snapshot>internal|external|none)$/;

/**
 * `DEVICE=internal|none` or `DEVICE=external[:FILE][,format=...][,mode=...]`, gathered. The name of a device may hold
 * equals signs, a comma in the file is doubled.
 */
export function capture(word: string, before: readonly CapturedDisk[] = []): readonly CapturedDisk[] {
  const advice =
    'say DEVICE=internal, =none or =external[:/FILE][,format=...][,mode=absolute-paths|existing]';
  const [first = '', ...more] = partsOf(word);
  const { device, snapshot, file } = (WITH_FILE.exec(first) ?? WITHOUT_FILE.exec(first))?.groups ?? {};
  if (!device || !snapshot) throw new InvalidArgumentError(advice);
  refuseSecond(device, before);
  const where = file === undefined ? {} : { file: file.replaceAll(',,', ',') };
  return [...before, { device, snapshot, ...where, ...known(more, ['format', 'mode'], advice) }];
}

export interface DiskDefault {
  readonly device: string;
  readonly default: string;
}

/** `DEVICE=internal|external|none`, gathered: what a create does with a disk when it says nothing. */
export function diskDefault(word: string, before: readonly DiskDefault[] = []): readonly DiskDefault[] {
  const { device, snapshot } = WITHOUT_FILE.exec(word)?.groups ?? {};
  if (!device || !snapshot) throw new InvalidArgumentError('say DEVICE=internal, =external or =none');
  refuseSecond(device, before);
  return [...before, { device, default: snapshot }];
}

export interface BackedUpDisk {
  readonly device: string;
  readonly target: string;
  readonly sync?: string;
  readonly format?: string;
  readonly mode?: string;
}

/** `DEVICE=/TARGET[,sync=...][,format=...][,mode=...]`, gathered. A comma in the target is doubled. */
export function backup(word: string, before: readonly BackedUpDisk[] = []): readonly BackedUpDisk[] {
  const advice = 'say DEVICE=/TARGET[,sync=full|top|none][,format=...][,mode=absolute-paths|existing]';
  const [first = '', ...more] = partsOf(word);
  const [device, target] = cut(first, first.indexOf('=/'), advice);
  refuseSecond(device, before);
  const how = known(more, ['sync', 'format', 'mode'], advice);
  return [...before, { device, target: target.replaceAll(',,', ','), ...how }];
}

function refuseSecond(device: string, before: readonly { readonly device: string }[]): void {
  if (before.some((disk) => disk.device === device))
    throw new InvalidArgumentError(`"${device}" is said twice`);
}

export interface DiskWords {
  readonly device: string;
  readonly file?: string;
  readonly format?: string;
  readonly default?: string;
}

/**
 * `device=...[,file=...,format=...][,default=...]`, gathered. A comma inside a value is doubled, as on QEMU's command
 * line.
 */
export function disk(word: string, before: readonly DiskWords[] = []): readonly DiskWords[] {
  const advice = 'say device=...[,file=...,format=...][,default=internal|external|none]';
  const { device, ...more } = known(partsOf(word), ['device', 'file', 'format', 'default'], advice);
  if (!device || (more.file === undefined) !== (more.format === undefined))
    throw new InvalidArgumentError(advice);
  refuseSecond(device, before);
  return [...before, { device, ...more }];
}

/** The members of these names; no others are allowed. */
function known<K extends string>(
  parts: readonly string[],
  names: readonly K[],
  advice: string,
): { readonly [name in K]?: string } {
  const given = membersOf(parts, advice);
  const other = [...given.keys()].find((name) => !names.some((one) => one === name));
  if (other !== undefined) throw new InvalidArgumentError(`"${other}" is none of ${names.join(', ')}`);
  const found: { [name in K]?: string } = {};
  for (const name of names) {
    const value = given.get(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

const partsOf = (word: string): readonly string[] =>
  [...word.matchAll(/((?:[^,]|,,)+)(?:,|$)/g)].map(([, part = '']) => part);

function membersOf(parts: readonly string[], advice: string): ReadonlyMap<string, string> {
  const given = new Map<string, string>();
  for (const part of parts) {
    const [key, value] = cut(part, part.indexOf('='), advice);
    if (given.has(key)) throw new InvalidArgumentError(`"${key}" is said twice`);
    given.set(key, value.replaceAll(',,', ','));
  }
  return given;
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

/** Options of every command whose effects can be said beforehand. */
export const planned = (command: Command): Command =>
  patient(command)
    .option('--dry-run', 'only say what would be done: nothing is recorded, nothing is touched')
    .option('--plan <hash>', 'do just what a dry run said under this hash, or nothing');

/** Options of every command whose work takes time. */
export const patient = (command: Command): Command =>
  guarded(command)
    .addOption(new Option('--wait', 'wait until it has ended, showing progress (this is the default)'))
    .addOption(new Option('--no-wait', 'return as soon as it is accepted; `operation ID --wait` waits later'))
    .option('--timeout <seconds>', 'stop waiting after so long; the work goes on', seconds);
