import { adviceFor } from './advice.ts';
import type { Leftover } from '#ledger';
import type { ShownOperation } from './answers.ts';
import type { Answer } from './api.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { screenOf, type Screen } from './screen.ts';
import type { Session } from './session.ts';
import { waitFor, type WaitOptions } from './wait.ts';

const DONE: ReadonlyMap<string, string> = new Map([
  ['create', 'created'],
  ['load', 'loaded'],
  ['delete', 'deleted'],
  ['retire', 'retired'],
  ['unretire', 'un-retired'],
]);

/**
 * Waits for what was accepted, unless told not to, prints how it went, and gives the exit code that says so.
 * `what` is how the person calls the thing that is worked on.
 */
export async function finish(
  session: Session,
  accepted: Answer<ShownOperation>,
  what: string,
  options: WaitOptions,
): Promise<ExitCode> {
  const answer = options.wait === false ? accepted : await waitFor(session, accepted, options);
  await session.show(answer, (operation) => sentenceOf(operation, session.screen.text(what)));
  await complainOf(session, answer.body);
  return outcomeCode(answer.body);
}

function sentenceOf({ id, kind, done, outcome }: ShownOperation, what: string): string {
  if (!done) return `${kind} of ${what} accepted: operation ${id}\n`;
  return outcome === 'succeeded' ? `${DONE.get(kind) ?? `${kind} done:`} ${what}\n` : '';
}

/** What an operation's end means to a script. One that goes on has not failed. */
export function outcomeCode({ outcome }: ShownOperation): ExitCode {
  switch (outcome) {
    case null:
    case 'succeeded':
      return EXIT.ok;
    case 'failed':
      return EXIT.undone;
    case 'needs-operator':
      return EXIT.unknown;
  }
}

/** Says why an operation did not succeed, what is left of it, and what to do next. */
export async function complainOf(session: Session, operation: ShownOperation): Promise<void> {
  const { kind, outcome, error, message } = operation;
  if (outcome !== 'failed' && outcome !== 'needs-operator') return;
  const screen = screenOf(session.around.err, session.around);
  const { reason, message: why } = error ?? { reason: 'unknown', message };
  const { ended, left, next } = outcome === 'failed' ? undone(reason) : held(operation.leftovers);
  const lines = [
    `ledgerctl: ${screen.text(kind)} ${ended}: ${screen.paint('red', screen.text(reason))}: ${screen.text(why)}`,
    ...left.map((line) => `  ${screen.text(line)}`),
    ...(next === '' ? [] : [`  next: ${next}`]),
  ];
  await session.remark(lines.join('\n'));
}

interface End {
  readonly ended: string;
  readonly left: readonly string[];
  readonly next: string;
}

const undone = (reason: string): End => ({
  ended: 'failed',
  left: ['everything is as it was before'],
  next: adviceFor(reason),
});

const held = (leftovers: readonly Leftover[]): End => ({
  ended: 'needs an operator',
  left: leftovers.map(leftoverWords),
  next: adviceFor('vm-held'),
});

function leftoverWords({ device, file, tag, why }: Leftover): string {
  const isDamage = tag === ''; // Nobody should take the image for a file that is to be removed.
  const what = isDamage ? `to be repaired on ${device}: ${file}` : `left on ${device}: ${tag} in ${file}`;
  return why ? `${what} (${why})` : what;
}

/** One operation, as facts and steps. */
export function operationFacts(operation: ShownOperation, screen: Screen): [string, string | null][] {
  const { text } = screen;
  const { error, percent } = operation;
  return [
    ['operation', text(operation.id)],
    ['kind', text(operation.kind)],
    ['VM', text(operation.vmId)],
    ['snapshot', operation.snapshotId === null ? null : text(operation.snapshotId)],
    ['outcome', operation.outcome === null ? 'not ended' : outcomeWord(operation.outcome, screen)],
    ['phase', operation.done ? null : `${text(operation.phase)}${percent === null ? '' : ` ${percent} %`}`],
    ['message', text(operation.message) || null],
    ['error', error ? `${text(error.reason)}: ${text(error.message)}` : null],
    ['left', operation.leftovers.length > 0 ? text(operation.leftovers.map(leftoverWords).join('; ')) : null],
  ];
}

export const outcomeWord = (outcome: string, screen: Screen): string =>
  outcome === 'succeeded' ? outcome : screen.paint('red', screen.text(outcome));
