import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { LauncherCommands, Words } from '#hypervisor';
import { z } from 'zod';
import {
  NOT_BUILT,
  type OptionKey,
  type OptionName,
  OPTIONS,
  OTHER_VARIABLES,
  VARIABLE_PREFIX,
} from './options.ts';

/** Called wrongly: one sentence for the operator, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const SNAPSHOTS_MAX = 100_000;
const COMMAND_CHARACTERS_MAX = 4_096;
const CHAIN_MAX = 200; // QEMU follows no longer chain reliably, whatever the operator says.
const RECONCILE_EVERY_MAX_S = 7 * 24 * 60 * 60;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;
const LISTEN = /^(?:\[(?<six>[0-9a-fA-F:]+)\]|(?<host>[^:\s]+)):(?<port>\d{1,5})$/;

const wholeNumber = (max: number, min = 1) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], { error: 'a whole number is needed' })
    .pipe(z.number().int().min(min).max(max));

const directories = z.array(z.string().min(1));

const Role = z.enum(['http', 'worker'], {
  error: ({ input }) =>
    input === 'relay' || input === 'qmp'
      ? `the role ${input} is not built yet`
      : `there is no role "${String(input)}": say http, worker or both`,
});

const Listen = z.string().superRefine((text, context) => {
  const why = whyNotListen(text);
  if (why) context.addIssue({ code: 'custom', message: why });
});

const Store = z.string().superRefine((text, context) => {
  if (text.startsWith('kurrentdb:'))
    context.addIssue({ code: 'custom', message: 'kurrentdb: is not built yet' });
  else if (text !== 'memory:' && !text.startsWith('sqlite:'))
    context.addIssue({ code: 'custom', message: `"${text}" is no store: say sqlite:FILE or memory:` });
});

/** A command of the operator's; empty: he has none. */
const Command = z.string().max(COMMAND_CHARACTERS_MAX);

/** What a daemon is told when it starts. Every member is a flag, a variable and a key of the config file. */
export const Config = z
  .strictObject({
    data: z.string().min(1),
    listen: Listen,
    roles: z.array(Role).min(1, { error: 'at least one role is needed' }),
    store: Store,
    host: z.string().min(1).max(253),
    monitorRoots: directories,
    imageRoots: directories,
    launcherStart: Command,
    launcherStop: Command,
    snapshotsMax: wholeNumber(SNAPSHOTS_MAX),
    chainMax: wholeNumber(CHAIN_MAX),
    onWrongChain: z.enum(['stop', 'report'], { error: 'say stop or report' }),
    /** In seconds; 0: never. */
    reconcileEvery: wholeNumber(RECONCILE_EVERY_MAX_S, 0),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']),
  })
  .superRefine(({ launcherStart, launcherStop }, context) => {
    const [isStart, isStop] = [wordsIn(launcherStart) !== null, wordsIn(launcherStop) !== null];
    if (isStart === isStop) return;
    const path = [isStart ? 'launcherStop' : 'launcherStart'];
    context.addIssue({ code: 'custom', path, message: 'who ends machines must start them too: say both' });
  });
export type Config = z.infer<typeof Config>;

/** What surrounds a program that is being started. */
export interface Surroundings {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly hostname: string;
  /** The text of a file. Throws when it cannot be read. */
  readonly readText: (path: string) => string;
}

export interface Called {
  readonly config: Config;
  /** What to do with it. */
  readonly wish: 'run' | 'print-config' | 'help';
}

/**
 * What the operator wants: flags before variables before the config file before the defaults.
 *
 * @throws {UsageError} for an unknown or impossible setting, wherever it stands
 */
export function readConfig(surroundings: Surroundings): Called {
  const { env, workingDirectory, hostname } = surroundings;
  const { wish, configFile, given } = flags(surroundings.args);
  if (wish === 'help') return { wish, config: defaults(hostname, workingDirectory) };
  const file = configFile ?? env['SNAPLEDGER_CONFIG'];
  const parsed = Config.safeParse({
    ...defaults(hostname, workingDirectory),
    ...(file !== undefined && configIn(file, surroundings)),
    ...variables(env),
    ...given,
  });
  if (!parsed.success) throw new UsageError(whyNot(parsed.error));
  return { wish, config: absolute(parsed.data, workingDirectory) };
}

const defaults = (hostname: string, workingDirectory: string): Config => ({
  data: resolve(workingDirectory, 'data'),
  listen: '127.0.0.1:7420',
  roles: ['http', 'worker'],
  store: 'sqlite:',
  host: hostname,
  monitorRoots: [],
  imageRoots: [],
  launcherStart: '',
  launcherStop: '',
  snapshotsMax: 200,
  chainMax: 64,
  onWrongChain: 'stop',
  reconcileEvery: 600,
  logLevel: 'info',
});

type Given = Partial<Record<OptionKey, string | string[]>>;

function flags(args: readonly string[]): { wish: Called['wish']; configFile?: string; given: Given } {
  const values: Values = parsedArgs(args);
  for (const { flag } of NOT_BUILT) {
    if (values[flag] !== undefined) throw new UsageError(`--${flag} is not built yet`);
  }
  const given: Given = {};
  for (const [key, option] of optionEntries()) {
    const value = values[option.flag];
    if (Array.isArray(value)) given[key] = value.flatMap((text) => commaSeparated(String(text), option));
    else if (typeof value === 'string') given[key] = value;
  }
  const configFile = values['config'];
  return {
    wish: values['help'] ? 'help' : values['print-config'] ? 'print-config' : 'run',
    ...(typeof configFile === 'string' && { configFile }),
    given,
  };
}

type Values = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

function parsedArgs(args: readonly string[]): Values {
  const valued = [...Object.values(OPTIONS), ...NOT_BUILT].map((option) => [
    option.flag,
    { type: 'string' as const, multiple: 'separator' in option },
  ]);
  try {
    const { values } = parseArgs({
      args: [...args],
      strict: true,
      allowPositionals: false,
      options: {
        ...(Object.fromEntries(valued) as Record<string, { type: 'string'; multiple: boolean }>),
        config: { type: 'string' },
        'print-config': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A variable with our prefix that we do not know is a typing error, and typing errors are told. */
function variables(env: Surroundings['env']): Given {
  const given: Given = {};
  const known = new Set(OTHER_VARIABLES);
  for (const [key, option] of optionEntries()) {
    known.add(option.variable);
    const value = env[option.variable];
    if (value === undefined || value === '') continue; // An empty variable is how shells say "not set".
    given[key] = option.separator ? separated(value, option.separator) : value;
  }
  for (const name of Object.keys(env)) {
    if (NOT_BUILT.some(({ variable }) => variable === name)) throw new UsageError(`${name} is not built yet`);
    if (name.startsWith(VARIABLE_PREFIX) && !known.has(name))
      throw new UsageError(`there is no variable ${name}`);
  }
  return given;
}

function configIn(path: string, { readText, workingDirectory }: Surroundings): object {
  try {
    const parsed: unknown = JSON.parse(readText(resolve(workingDirectory, path)));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw new UsageError(`${path} holds no JSON object`);
}

const optionEntries = (): [OptionKey, OptionName][] => Object.entries(OPTIONS) as [OptionKey, OptionName][];

const separated = (text: string, separator: string): string[] =>
  text.split(separator).filter((part) => part !== '');

/** A directory stands alone behind its flag, so its name may hold a colon. */
const commaSeparated = (text: string, { separator }: OptionName): string[] =>
  separator === ',' ? separated(text, separator) : [text];

function absolute(config: Config, workingDirectory: string): Config {
  const under = (path: string): string => resolve(workingDirectory, path);
  return {
    ...config,
    data: under(config.data),
    store: config.store.length > 'sqlite:'.length ? absoluteStore(config.store, under) : config.store,
    roles: [...new Set(config.roles)],
    monitorRoots: config.monitorRoots.map(under),
    imageRoots: config.imageRoots.map(under),
  };
}

const absoluteStore = (store: string, under: (path: string) => string): string =>
  store.startsWith('sqlite:') ? `sqlite:${under(store.slice('sqlite:'.length))}` : store;

function whyNotListen(text: string): string | null {
  const parts = LISTEN.exec(text)?.groups;
  if (!parts) return `"${text}" is no HOST:PORT`;
  if (Number(parts['port']) > 65_535) return `there is no port ${parts['port']}`;
  if (LOOPBACK.test(parts['six'] ?? parts['host'] ?? '')) return null;
  return `"${text}" is reachable from other machines; without API keys that is refused: listen on 127.0.0.1`;
}

/** The words of a command as they stand there: nothing is quoted, nothing is expanded. Null when there are none. */
function wordsIn(command: string): Words | null {
  const [program, ...args] = command.split(/\s+/).filter((word) => word !== '');
  return program === undefined ? null : [program, ...args];
}

/** The operator's commands that start and end machines; null when he has given none. */
export function launcherIn({ launcherStart, launcherStop }: Config): LauncherCommands | null {
  const [start, stop] = [wordsIn(launcherStart), wordsIn(launcherStop)];
  return start && stop && { start, stop };
}

/** Host and port of a `listen` that a `Config` holds. */
export function listenAddress(listen: string): { host: string; port: number } {
  const parts = LISTEN.exec(listen)?.groups;
  return { host: parts?.['six'] ?? parts?.['host'] ?? '127.0.0.1', port: Number(parts?.['port'] ?? 0) };
}

/** The first thing that is wrong, under the name by which the operator may have given it. */
function whyNot(error: z.ZodError): string {
  const [issue] = error.issues;
  if (!issue) return error.message;
  if (issue.code === 'unrecognized_keys') return `there is no setting "${issue.keys.join('", "')}"`;
  const [key] = issue.path;
  const option = optionEntries().find(([name]) => name === key)?.[1];
  return option ? `--${option.flag}: ${issue.message}` : issue.message;
}
