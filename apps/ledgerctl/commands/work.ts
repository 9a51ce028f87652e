import { Option, type Command } from 'commander';
import type { ShownOperation } from '../answers.ts';
import { route } from '../api.ts';
import type { ExitCode } from '../exit.ts';
import { findSnapshot, findVm } from '../find.ts';
import { finish } from '../outcome.ts';
import { ownTrouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';
import type { WaitOptions } from '../wait.ts';
import { capture, label, patient } from '../words.ts';

interface CreateOptions extends WaitOptions {
  readonly id?: string;
  readonly description?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly memory?: string;
  readonly diskOnly?: boolean;
  readonly disk?: Readonly<Record<string, string>>;
}

interface LoadOptions extends WaitOptions {
  readonly then?: string;
  readonly disksOnly?: boolean;
}

interface DeleteOptions extends WaitOptions {
  readonly all?: boolean;
  readonly merge?: boolean;
  readonly mergeForce?: boolean;
  readonly discard?: boolean;
  readonly discardForce?: boolean;
}

/** What a worker carries out on the machine. Each waits for the end unless told not to. */
export function workCommands(program: Command, does: Does): void {
  patient(program.command('create'))
    .description('take a snapshot of every disk of a machine, or of none')
    .argument('<VM>', 'name or id')
    .argument('[NAME]', 'name of the snapshot; made up when absent')
    .option('--id <uuid>', 'id of the snapshot; made up when absent')
    .option('--description <text>', 'what it is for')
    .option('--label <key=value>', 'label; may be repeated', label)
    .addOption(new Option('--memory <mode>', 'whether to keep the memory too').choices(['none', 'internal']))
    .option('--disk-only', 'leave the memory of a running machine out')
    .option('--disk <device=mode>', 'internal, external or none for one disk; may be repeated', capture)
    .action(does(create));
  patient(program.command('load'))
    .description('bring a machine back to a snapshot')
    .argument('<VM>', 'name or id')
    .argument('<SNAP>', 'name or id')
    .addOption(
      new Option('--then <state>', 'how the machine goes on').choices(['as-captured', 'running', 'paused']),
    )
    .option('--disks-only', 'leave the memory of the snapshot out')
    .action(does(load));
  const strategies = ['merge', 'merge-force', 'discard', 'discard-force'];
  const remove = patient(program.command('delete'))
    .description('delete a snapshot; without a strategy it is retired: hidden, but kept')
    .argument('<VM>', 'name or id')
    .argument('[SNAP]', 'name or id');
  for (const [strategy, says] of [
    ['merge', 'remove it, keeping the content of all others'],
    ['merge-force', 'the same, taking along those that cannot be kept'],
    ['discard', 'remove it and its content; refused when it has children'],
    ['discard-force', 'remove it and all that descends from it'],
    ['all', 'remove every snapshot; the machine stays as it is'],
  ] as const) {
    const others = [...strategies, 'all'].filter((other) => other !== strategy).map(optionKey);
    remove.addOption(new Option(`--${strategy}`, says).conflicts(others));
  }
  remove.action(does(deleteOneOrAll));
  patient(program.command('unretire'))
    .description('bring a retired snapshot back')
    .argument('<VM>', 'name or id')
    .argument('<SNAP>', 'name or id')
    .action(does(unretire));
}

/** Commander calls the option `--merge-force` by the key `mergeForce`. */
const optionKey = (flag: string): string =>
  flag.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

async function create(
  session: Session,
  word: string,
  name: string | undefined,
  options: CreateOptions,
): Promise<ExitCode> {
  const vmId = await findVm(session, word);
  const { id, description, label: labels, memory, diskOnly, disk } = options;
  const disks = disk && Object.entries(disk).map(([device, snapshot]) => ({ device, snapshot }));
  const accepted = await session.api.command<ShownOperation>(
    {
      method: 'POST',
      path: route('vms', vmId, 'snapshots'),
      body: { id, name, description, labels, memory, diskOnly, disks },
      ...session.guards,
    },
    'outcome',
  );
  const snapshotId = accepted.body.snapshotId ?? '';
  return finish(session, accepted, name === undefined ? snapshotId : `${name} (${snapshotId})`, options);
}

async function load(session: Session, vmWord: string, word: string, options: LoadOptions): Promise<ExitCode> {
  const vmId = await findVm(session, vmWord);
  const id = await findSnapshot(session, vmId, word);
  const { then, disksOnly } = options;
  const accepted = await session.api.command<ShownOperation>(
    {
      method: 'POST',
      path: route('vms', vmId, 'snapshots', id, 'load'),
      // oxlint-disable-next-line no-thenable -- the word of the API; nobody awaits this object
      body: { then, disksOnly },
      ...session.guards,
    },
    'outcome',
  );
  return finish(session, accepted, word, options);
}

async function deleteOneOrAll(
  session: Session,
  vmWord: string,
  word: string | undefined,
  options: DeleteOptions,
): Promise<ExitCode> {
  if ((word === undefined) !== (options.all === true)) {
    throw ownTrouble('usage', 'name the snapshot, or say --all');
  }
  const vmId = await findVm(session, vmWord);
  const path =
    word === undefined
      ? route('vms', vmId, 'snapshots')
      : route('vms', vmId, 'snapshots', await findSnapshot(session, vmId, word));
  const accepted = await session.api.command<ShownOperation>(
    { method: 'DELETE', path, query: { strategy: strategyIn(options) }, ...session.guards },
    'outcome',
  );
  return finish(session, accepted, word ?? `all snapshots of ${vmWord}`, options);
}

function strategyIn({ merge, mergeForce, discard, discardForce }: DeleteOptions): string | undefined {
  if (merge) return 'merge';
  if (mergeForce) return 'merge-force';
  if (discard) return 'discard';
  return discardForce ? 'discard-force' : undefined;
}

async function unretire(
  session: Session,
  vmWord: string,
  word: string,
  options: WaitOptions,
): Promise<ExitCode> {
  const vmId = await findVm(session, vmWord);
  const id = await findSnapshot(session, vmId, word);
  const accepted = await session.api.command<ShownOperation>(
    { method: 'POST', path: route('vms', vmId, 'snapshots', id, 'unretire'), ...session.guards },
    'outcome',
  );
  return finish(session, accepted, word, options);
}
