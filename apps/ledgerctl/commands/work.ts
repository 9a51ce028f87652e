import { Option, type Command } from 'commander';
import type { ShownOperation } from '../answers.ts';
import { type CommandRequest, route } from '../api.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { findSnapshot, findVm } from '../find.ts';
import { finish } from '../outcome.ts';
import { type PlanOptions, showPlan } from '../plan.ts';
import { ownTrouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';
import type { WaitOptions } from '../wait.ts';
import { backup, capture, label, patient, planned, type BackedUpDisk, type CapturedDisk } from '../words.ts';

type WorkOptions = WaitOptions & PlanOptions;

interface CreateOptions extends WorkOptions {
  readonly id?: string;
  readonly description?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly memory?: string;
  readonly memoryFile?: string;
  readonly memoryFormat?: string;
  readonly diskOnly?: boolean;
  readonly disk?: readonly CapturedDisk[];
  readonly backup?: readonly BackedUpDisk[];
  readonly quiesce?: string;
}

interface LoadOptions extends WorkOptions {
  readonly safety?: string;
  readonly then?: string;
  readonly disksOnly?: boolean;
}

interface DeleteOptions extends WorkOptions {
  readonly all?: boolean;
  readonly merge?: boolean;
  readonly mergeForce?: boolean;
  readonly discard?: boolean;
  readonly discardForce?: boolean;
}

/** What a worker carries out on the machine. Each waits for the end unless told not to. */
export function workCommands(program: Command, does: Does): void {
  createCommand(program, does);
  planned(program.command('load'))
    .description('bring a machine back to a snapshot')
    .argument('<VM>', 'name or id')
    .argument('<SNAP>', 'name or id')
    .addOption(
      new Option('--then <state>', 'how the machine goes on').choices(['as-captured', 'running', 'paused']),
    )
    .addOption(
      new Option('--safety <what>', 'what to save of the present first; disks when absent').choices([
        'disks',
        'memory',
        'none',
      ]),
    )
    .option('--disks-only', 'leave the memory of the snapshot out')
    .action(does(load));
  const strategies = ['merge', 'merge-force', 'discard', 'discard-force'];
  const remove = planned(program.command('delete'))
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

function createCommand(program: Command, does: Does): void {
  planned(program.command('create'))
    .description('take a snapshot of every disk of a machine, or of none')
    .argument('<VM>', 'name or id')
    .argument('[NAME]', 'name of the snapshot; made up when absent')
    .option('--id <uuid>', 'id of the snapshot; made up when absent')
    .option('--description <text>', 'what it is for')
    .option('--label <key=value>', 'label; may be repeated', label)
    .addOption(
      new Option('--memory <mode>', 'where the memory goes').choices(['none', 'internal', 'external']),
    )
    .option('--memory-file <file>', 'the file that it goes into')
    .addOption(
      new Option(
        '--memory-format <format>',
        'state loads into a running machine, stream into a new one',
      ).choices(['state', 'stream']),
    )
    .option('--disk-only', 'leave the memory of a running machine out')
    .option(
      '--disk <device=mode>',
      'internal, none or external[:/FILE][,format=...][,mode=absolute-paths|existing] for one disk; may be repeated',
      capture,
    )
    .option(
      '--backup <device=target>',
      'copy a disk too: DEVICE=/TARGET[,sync=full|top|none][,format=...][,mode=absolute-paths|existing]; may be repeated',
      backup,
    )
    .addOption(
      new Option('--quiesce <how>', 'whether the guest holds still').choices(['none', 'try', 'require']),
    )
    .action(does(create));
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
  const { id, description, label: labels, memory, memoryFile, memoryFormat, diskOnly, quiesce } = options;
  const { disk: disks, backup: backups } = options;
  const wanted = { memory, memoryFile, memoryFormat, disks, diskOnly, backups, quiesce };
  const body = { id, name, description, labels, ...wanted, planHash: options.plan };
  const asked: Work = {
    vmId,
    request: { method: 'POST', path: route('vms', vmId, 'snapshots'), body, ...session.guards },
    what: (snapshotId) => (name === undefined ? snapshotId : `${name} (${snapshotId})`),
  };
  return work(session, asked, options);
}

async function load(session: Session, vmWord: string, word: string, options: LoadOptions): Promise<ExitCode> {
  const vmId = await findVm(session, vmWord);
  const id = await findSnapshot(session, vmId, word);
  const { then, disksOnly, safety, plan: planHash } = options;
  const path = route('vms', vmId, 'snapshots', id, 'load');
  // oxlint-disable-next-line no-thenable -- the word of the API; nobody awaits this object
  const body = { then, disksOnly, safety, planHash };
  const request = { method: 'POST' as const, path, body, ...session.guards };
  return work(session, { vmId, request, what: () => word }, options);
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
  const query = { strategy: strategyIn(options), planHash: options.plan };
  const request = { method: 'DELETE' as const, path, query, ...session.guards };
  return work(session, { vmId, request, what: () => word ?? `all snapshots of ${vmWord}` }, options);
}

interface Work {
  readonly vmId: string;
  readonly request: CommandRequest;
  /** How the person calls the thing that is worked on. */
  readonly what: (snapshotId: string) => string;
}

/** Has it done and waits for the end, or only says what it would be. */
async function work(
  session: Session,
  { vmId, request, what }: Work,
  options: WorkOptions,
): Promise<ExitCode> {
  if (options.dryRun) {
    await showPlan(session, vmId, request);
    return EXIT.ok;
  }
  const accepted = await session.api.command<ShownOperation>(request, 'outcome');
  return finish(session, accepted, what(accepted.body.snapshotId ?? ''), options);
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
