import { Option, type Command } from 'commander';
import type { LoggedEvent } from '../answers.ts';
import { pause, route, type StreamRequest } from '../api.ts';
import { findVm } from '../find.ts';
import { NoAnswer, type HttpAnswer } from '../http.ts';
import { linesOf, serverSentEvents } from '../lines.ts';
import { ownTrouble, readObject, Trouble } from '../problem.ts';
import { instant, safeJson } from '../screen.ts';
import type { Does, Session } from '../session.ts';

/** How often in a row ledgerd may be away before nobody follows it any longer: about a minute. */
const WATCH_ATTEMPTS_MAX = 9;

/** The log itself: replayed, or followed as it grows. */
export function logCommands(program: Command, does: Does): void {
  program
    .command('events')
    .description('replay the events of a machine, or the whole log; --json gives one event a line')
    .argument('[VM]', 'name or id')
    .option('--all', 'the whole log')
    .addOption(
      new Option('--from-version <version>', 'begin at this version of the machine').conflicts('all'),
    )
    .addOption(new Option('--after <position>', 'begin after this position of the log; with --all'))
    .action(does(events));
  program
    .command('watch')
    .description('follow the log as it grows, until Ctrl-C; --json gives one event a line')
    .argument('[VM]', 'name or id; all machines when absent')
    .option('--after <position>', 'begin after this position of the log')
    .action(does(watch));
}

interface EventsOptions {
  readonly all?: boolean;
  readonly fromVersion?: string;
  readonly after?: string;
}

async function events(session: Session, word: string | undefined, options: EventsOptions): Promise<void> {
  if ((word === undefined) !== (options.all === true)) throw ownTrouble('usage', 'name the VM, or say --all');
  if (word !== undefined && options.after !== undefined) {
    throw ownTrouble('usage', '--after goes with --all; a VM has --from-version');
  }
  const answer = await openStream(session, {
    path: word === undefined ? route('events') : route('vms', await findVm(session, word), 'events'),
    query: { fromVersion: options.fromVersion, afterPosition: options.after },
    maySleep: false,
  });
  try {
    for await (const line of linesOf(answer.body)) await printEvent(session, line);
  } catch (error) {
    throw error instanceof NoAnswer ? brokeOff(session, error) : error;
  }
}

async function openStream(session: Session, request: StreamRequest): Promise<HttpAnswer> {
  try {
    return await session.api.stream(request);
  } catch (error) {
    throw error instanceof NoAnswer ? brokeOff(session, error) : error;
  }
}

const brokeOff = ({ api, around }: Session, error: NoAnswer): Trouble =>
  around.interrupted.aborted
    ? ownTrouble('interrupted', 'stopped before the end of the log')
    : ownTrouble('cannot-connect', `${api.url} broke off: ${error.message}`);

/** Follows until the person stops it. A connection that breaks is opened again where the last one ended. */
async function watch(session: Session, word: string | undefined, options: { after?: string }): Promise<void> {
  const { interrupted } = session.around;
  const stream = word === undefined ? null : `vm-${await findVm(session, word)}`;
  const world = await session.around.world();
  let position = options.after ?? '';
  let failures = 0;
  for (let hasOpened = false; !interrupted.aborted;) {
    try {
      const answer = await openStream(session, {
        path: route('watch'),
        headers: position === '' ? {} : { 'last-event-id': position },
        maySleep: true,
      });
      [hasOpened, failures] = [true, 0];
      position ||= answer.header('snapledger-position'); // From now on; after a break, still from then on.
      for await (const id of followed(session, stream, answer)) position = id;
    } catch (error) {
      if (interrupted.aborted) return;
      failures += 1;
      if (!hasOpened || !isPassing(error) || failures === WATCH_ATTEMPTS_MAX) throw error;
    }
    await pause(world, failures + 1, interrupted);
  }
}

/** Prints what happens and yields the position of each event. Ends when the connection does, however it does. */
async function* followed(
  session: Session,
  stream: string | null,
  { body }: HttpAnswer,
): AsyncGenerator<string> {
  try {
    for await (const { id, data } of serverSentEvents(body)) {
      if (stream === null || readObject(data)?.['stream'] === stream) await printEvent(session, data);
      yield id;
    }
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof Trouble && (error.problem.retryable || error.problem.reason === 'cannot-connect');

async function printEvent({ isJson, print, screen }: Session, line: string): Promise<void> {
  if (line === '') return;
  if (isJson) return print(`${safeJson(line)}\n`);
  const event = readObject(line);
  if (!event) throw ownTrouble('not-ledgerd', 'a line of the log is not JSON');
  await print(`${screen.text(wordsOf(event as unknown as LoggedEvent))}\n`);
}

/** Members of an event's data that tell most about it, in the order in which they are shown. */
const TELLING = ['name', 'snapshotId', 'strategy', 'reason', 'outcome', 'message', 'note'] as const;

function wordsOf({ version, recordedAt, type, stream, actor, data }: LoggedEvent): string {
  const members = new Map<string, unknown>(Object.entries(data));
  const told = TELLING.flatMap((key) => {
    const value = members.get(key);
    return typeof value === 'string' && value !== '' ? [`${key}=${value}`] : [];
  });
  return [instant(recordedAt), `${stream}@${version}`, type.padEnd(20), actor, ...told].join('  ');
}
