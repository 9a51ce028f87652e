import type { Command } from 'commander';
import type { HistoryEntry, SnapshotView } from '#views';
import type { Lineage, ShownVm, Snapshots } from '../answers.ts';
import { route } from '../api.ts';
import { allPages } from '../pages.ts';
import { findSnapshot, findVm } from '../find.ts';
import { Trouble } from '../problem.ts';
import { outcomeWord } from '../outcome.ts';
import { instant } from '../screen.ts';
import type { Does, Session } from '../session.ts';
import { facts, table } from '../table.ts';
import { drawTree, statusWord } from '../tree.ts';
import { label } from '../words.ts';

interface AsOf {
  readonly asOf?: string;
}

/** What there is and what there was: nothing here changes anything. */
export function readCommands(program: Command, does: Does): void {
  program
    .command('list')
    .description('list the snapshots of a machine')
    .argument('<VM>', 'name or id')
    .option(
      '--status <status>',
      'only in these states, separated by commas; also shows retired and deleted ones',
    )
    .option('--label <key=value>', 'only with this label; may be repeated', label)
    .option('--implicit', 'show safety pins too')
    .option('--as-of <time>', 'as it was then (RFC 3339)')
    .action(does(list));
  program
    .command('tree')
    .description('draw which snapshot descends from which')
    .argument('<VM>', 'name or id')
    .option('--as-of <time>', 'as it was then (RFC 3339)')
    .option('--root <SNAP>', 'only this snapshot and what descends from it')
    .option('--depth <levels>', 'only so many levels')
    .option('--implicit', 'show safety pins too')
    .action(does(tree));
  program
    .command('show')
    .description('show one snapshot')
    .argument('<VM>', 'name or id')
    .argument('<SNAP>', 'name or id')
    .action(does(show));
  program
    .command('history')
    .description("say what was done to a machine's snapshots, when and by whom")
    .argument('<VM>', 'name or id')
    .action(does(history));
}

interface ListOptions extends AsOf {
  readonly status?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly implicit?: boolean;
}

async function list(session: Session, word: string, options: ListOptions): Promise<void> {
  const vmId = await findVm(session, word);
  const { status, asOf, label: wanted = {} } = options;
  const labels = Object.entries(wanted).map(([key, value]) => [`label.${key}`, value]);
  const answer = await allPages<Snapshots>(session.api, route('vms', vmId, 'snapshots'), 'snapshots', {
    status,
    asOf,
    implicit: options.implicit ? 'true' : undefined,
    ...Object.fromEntries(labels),
  });
  await session.show(answer, ({ snapshots }) => {
    const { text, paint } = session.screen;
    const names = new Map(snapshots.map(({ id, name }) => [id, name]));
    const parent = (id: string | null): string => (id === null ? '-' : (names.get(id) ?? id));
    return table(
      session.screen,
      ['', 'name', 'created', 'status', 'machine', 'memory', 'parent'],
      snapshots.map((snapshot) => [
        snapshot.current ? paint('green', '*') : '',
        text(snapshot.name),
        text(instant(snapshot.createdAt)),
        statusWord(snapshot.status, session.screen),
        text(snapshot.vmState ?? '-'),
        text(snapshot.memory.mode),
        text(parent(snapshot.parentId)),
      ]),
    );
  });
}

async function tree(
  session: Session,
  word: string,
  options: AsOf & { root?: string; depth?: string; implicit?: boolean },
): Promise<void> {
  const vmId = await findVm(session, word);
  const root = options.root === undefined ? undefined : await findSnapshot(session, vmId, options.root);
  const { asOf, depth } = options;
  const answer = await allPages<Lineage>(session.api, route('vms', vmId, 'lineage'), 'nodes', {
    asOf,
    root,
    depth,
    implicit: options.implicit ? 'true' : undefined,
  });
  const head = session.isJson || asOf !== undefined ? '' : await headOf(session, vmId, answer.body);
  await session.show(answer, (lineage) => head + drawTree(lineage, session.screen));
}

/** The machine, where it stands, and what is wrong with it. A forgotten one is known by its id only. */
async function headOf(session: Session, vmId: string, { current, nodes }: Lineage): Promise<string> {
  const { text, paint } = session.screen;
  const vm = await vmOrNull(session, vmId);
  const standsOn = nodes.find(({ id }) => id === current.snapshotId)?.name ?? current.snapshotId;
  const sure = current.confidence === 'known' ? '' : ` (${current.confidence})`;
  return [
    `${paint('bold', text(vm?.name ?? vmId))}  current: ${text(`${standsOn ?? 'none'}${sure}`)}\n`,
    ...(vm?.conditions ?? []).map(
      ({ type, reason, message }) => `${paint('red', text(`${type}: ${reason}: ${message}`))}\n`,
    ),
  ].join('');
}

async function vmOrNull({ api }: Session, vmId: string): Promise<ShownVm | null> {
  try {
    return (await api.get<ShownVm>(route('vms', vmId), 'monitor')).body;
  } catch (error) {
    if (error instanceof Trouble && error.problem.reason === 'vm-unknown') return null;
    throw error;
  }
}

async function show(session: Session, vmWord: string, word: string): Promise<void> {
  const vmId = await findVm(session, vmWord);
  const id = await findSnapshot(session, vmId, word);
  const answer = await session.api.get<SnapshotView>(route('vms', vmId, 'snapshots', id), 'parentId');
  await session.show(answer, (snapshot) => snapshotFacts(session, snapshot, answer.version));
}

const yes = (is: boolean): string | null => (is ? 'yes' : null);

function snapshotFacts({ screen }: Session, snapshot: SnapshotView, version: string): string {
  const { text, paint } = screen;
  const { sizeBytes, mode, file } = snapshot.memory;
  const memory = [mode, file, sizeBytes === undefined ? undefined : `${sizeBytes} bytes`];
  const labels = Object.entries(snapshot.labels).map(([key, value]) => `${key}=${value}`);
  const disks = snapshot.disks.map(
    (disk) => `${disk.device}=${disk.mode}${disk.file ? ` ${disk.file}` : ''}`,
  );
  const [summary = '', ...more] = snapshot.description.split('\n');
  return [
    facts([
      ['name', text(snapshot.name)],
      ['id', text(snapshot.id)],
      ['status', statusWord(snapshot.status, screen)],
      ['current', snapshot.current ? paint('green', 'yes') : null],
      ['created', text(instant(snapshot.createdAt))],
      ['parent', text(snapshot.parentId ?? 'none')],
      ['machine', snapshot.vmState === null ? null : text(snapshot.vmState)],
      ['memory', text(memory.filter((fact) => fact !== undefined).join(', '))],
      ['disks', text(disks.join(', '))],
      ['consistency', snapshot.consistency === null ? null : text(snapshot.consistency)],
      ['protected', yes(snapshot.protected)],
      ['pin', yes(snapshot.implicit)],
      ['labels', labels.length > 0 ? text(labels.join(' ')) : null],
      ['version', text(version) || null],
      ['description', text(summary) || null],
    ]),
    ...more.map((line) => `  ${text(line)}\n`),
  ].join('');
}

async function history(session: Session, word: string): Promise<void> {
  const vmId = await findVm(session, word);
  const answer = await allPages<{ entries: readonly HistoryEntry[] }>(
    session.api,
    route('vms', vmId, 'history'),
    'entries',
  );
  const { screen } = session;
  const { text } = screen;
  await session.show(answer, ({ entries }) =>
    table(
      screen,
      ['at', 'action', 'snapshot', 'outcome', 'reason', 'actor', 'operation'],
      entries.map((entry) => [
        text(instant(entry.at)),
        text(entry.action),
        text(entry.name ?? entry.snapshotId ?? '-'),
        entry.outcome === null ? '-' : outcomeWord(entry.outcome, screen),
        text(entry.reason ?? ''),
        text(entry.actor),
        text(entry.operationId ?? '-'),
      ]),
    ),
  );
}
