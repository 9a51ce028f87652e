import { Option, type Command } from 'commander';
import type { Operations, ShownOperation } from '../answers.ts';
import { route } from '../api.ts';
import { allPages } from '../pages.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { findVm, idIn } from '../find.ts';
import { complainOf, operationFacts, outcomeCode, outcomeWord } from '../outcome.ts';
import { ownTrouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';
import { facts, table } from '../table.ts';
import { waitFor, type WaitOptions } from '../wait.ts';
import { guarded, seconds } from '../words.ts';

/** What is under way, and how it went. */
export function operationCommands(program: Command, does: Does): void {
  guarded(program.command('operation'))
    .description('show an operation, wait for it, or cancel it')
    .argument('<ID>', 'id of the operation')
    .option('--wait', 'wait until it has ended; the exit code then tells how')
    .option('--timeout <seconds>', 'stop waiting after so long; the work goes on', seconds)
    .option('--cancel', 'cancel it, which works until it has begun')
    .action(does(operation));
  program
    .command('operations')
    .description('list operations')
    .argument('[VM]', 'name or id; all machines when absent')
    .addOption(new Option('--open', 'only those that have not ended').conflicts('done'))
    .addOption(new Option('--done', 'only those that have ended'))
    .action(does(operations));
}

interface OperationOptions extends WaitOptions {
  readonly cancel?: boolean;
}

async function operation(session: Session, word: string, options: OperationOptions): Promise<ExitCode> {
  const id = idIn(word);
  if (id === null) throw ownTrouble('usage', `"${word}" is no id of an operation; ids are UUIDs`);
  const first = options.cancel
    ? await session.api.command<ShownOperation>(
        { method: 'POST', path: route('operations', id, 'cancel'), ...session.guards },
        'outcome',
      )
    : await session.api.get<ShownOperation>(route('operations', id), 'outcome');
  const answer = options.wait ? await waitFor(session, first, options) : first;
  await session.show(answer, (operation) => drawOperation(session, operation));
  if (!options.wait) return EXIT.ok;
  await complainOf(session, answer.body);
  return outcomeCode(answer.body);
}

function drawOperation({ screen }: Session, operation: ShownOperation): string {
  const { text } = screen;
  const head = facts(operationFacts(operation, screen));
  if (operation.steps.length === 0) return head;
  const steps = table(
    screen,
    ['step', 'device', 'state', 'started', 'ended'],
    operation.steps.map(({ name, device, state, startedAt, endedAt }) =>
      [name, device ?? '', state, startedAt, endedAt].map((cell) => text(cell)),
    ),
  );
  return `${head}\n${steps}`;
}

async function operations(
  session: Session,
  word: string | undefined,
  options: { readonly open?: boolean; readonly done?: boolean },
): Promise<void> {
  const vmId = word === undefined ? undefined : await findVm(session, word);
  const done = options.open ? 'false' : options.done ? 'true' : undefined;
  const answer = await allPages<Operations>(session.api, route('operations'), 'operations', { vmId, done });
  const { screen } = session;
  const { text } = screen;
  await session.show(answer, ({ operations }) =>
    table(
      screen,
      ['id', 'kind', 'outcome', 'phase', 'snapshot', 'VM'],
      operations.map((operation) => [
        text(operation.id),
        text(operation.kind),
        operation.outcome === null ? '-' : outcomeWord(operation.outcome, screen),
        text(operation.phase),
        text(operation.snapshotId ?? '-'),
        text(operation.vmId),
      ]),
    ),
  );
}
