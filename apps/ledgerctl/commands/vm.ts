import type { Command } from 'commander';
import type { Status } from '#hypervisor';
import type { ShownVm, Vms } from '../answers.ts';
import { type Answer, type Guards, route } from '../api.ts';
import { allPages } from '../pages.ts';
import { findVm } from '../find.ts';
import { type LabelChange, labelChange, relabelled } from '../labels.ts';
import { ownTrouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';
import { reconcileCommand } from './doctor.ts';
import { launchCommand } from './launch.ts';
import { facts, table } from '../table.ts';
import { disk, diskDefault, guarded, label, type DiskDefault, type DiskWords } from '../words.ts';

interface AddOptions {
  readonly monitor: string;
  readonly id?: string;
  readonly host?: string;
  readonly guestAgent?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly disk?: readonly DiskWords[];
}

interface ChangeOptions {
  readonly name?: string;
  readonly monitor?: string;
  readonly host?: string;
  /** False: there is none any more. */
  readonly guestAgent?: string | false;
  readonly label?: readonly LabelChange[];
  readonly disk?: readonly DiskDefault[];
}

/** `vm ...`: which machines there are. */
export function vmCommands(program: Command, does: Does): void {
  const vm = program.command('vm').description('the machines: add, list, show, change, forget, status');
  guarded(vm.command('add'))
    .description('register a machine by its QMP monitor')
    .argument('<NAME>', 'how the machine is to be called')
    .requiredOption('--monitor <path>', 'unix socket of a QMP monitor, best one of its own')
    .option('--id <uuid>', 'id of the machine; made up when absent')
    .option('--host <host>', 'host it runs on, when it is not that of ledgerd')
    .option('--guest-agent <path>', 'unix socket of its guest agent')
    .option('--label <key=value>', 'label; may be repeated', label)
    .option(
      '--disk <disk>',
      'device=...[,file=...,format=...][,default=...]: where it is, for a machine that is off, and what a create does with it by itself; may be repeated',
      disk,
    )
    .action(does(add));
  vm.command('list').description('list the machines').action(does(list));
  vm.command('show')
    .description('show one machine: disks, current snapshot, conditions')
    .argument('<VM>', 'name or id')
    .action(does(show));
  guarded(vm.command('change'))
    .description('change what is known of a machine; what is not said stays as it is')
    .argument('<VM>', 'name or id')
    .option('--name <name>', 'how it is called from now on')
    .option('--monitor <path>', 'unix socket of its QMP monitor')
    .option('--host <host>', 'host it runs on')
    .option('--guest-agent <path>', 'unix socket of its guest agent')
    .option('--no-guest-agent', 'it has none any more')
    .option('--label <label>', 'key=value sets one, key- removes one; may be repeated', labelChange)
    .option('--disk <device=mode>', 'what a create does with a disk by itself; may be repeated', diskDefault)
    .action(does(change));
  guarded(vm.command('forget'))
    .description('forget a machine; its images and the log stay as they are')
    .argument('<VM>', 'name or id')
    .action(does(forget));
  vm.command('status')
    .description('say whether a machine can be snapshotted, and why not')
    .argument('<VM>', 'name or id')
    .action(does(status));
  reconcileCommand(vm, does);
  launchCommand(vm, does);
}

async function add(session: Session, name: string, options: AddOptions): Promise<void> {
  const { id, monitor, host, guestAgent, label: labels, disk: disks } = options;
  const answer = await session.api.command<ShownVm>(
    {
      method: 'POST',
      path: route('vms'),
      body: { id, name, monitor, host, guestAgent, labels, disks },
      ...session.guards,
    },
    'monitor',
  );
  await session.show(
    answer,
    (vm) => `added ${session.screen.text(vm.name)} (${session.screen.text(vm.id)})\n`,
  );
}

async function list(session: Session): Promise<void> {
  const answer = await allPages<Vms>(session.api, route('vms'), 'vms');
  const { text, paint } = session.screen;
  await session.show(answer, ({ vms }) =>
    table(
      session.screen,
      ['name', 'host', 'disks', 'conditions', 'operation', 'id'],
      vms.map((vm) => [
        text(vm.name),
        text(vm.host),
        `${vm.disks.length}`,
        vm.conditions.length === 0
          ? '-'
          : paint('red', text(vm.conditions.map(({ type }) => type).join(','))),
        text(vm.operationId ?? '-'),
        text(vm.id),
      ]),
    ),
  );
}

async function show(session: Session, word: string): Promise<void> {
  const vmId = await findVm(session, word);
  const answer = await session.api.get<ShownVm>(route('vms', vmId), 'monitor');
  await session.show(answer, (vm) => vmFacts(session, vm, answer.version));
}

function vmFacts({ screen }: Session, vm: ShownVm, version: string): string {
  const { text, paint } = screen;
  const { snapshotId, confidence } = vm.current;
  const current = snapshotId === null ? 'none' : `${text(snapshotId)} (${text(confidence)})`;
  const labels = Object.entries(vm.labels).map(([key, value]) => `${key}=${value}`);
  return [
    facts([
      ['name', text(vm.name)],
      ['id', text(vm.id)],
      ['host', text(vm.host)],
      ['monitor', text(vm.monitor)],
      ['agent', vm.guestAgent === null ? null : text(vm.guestAgent)],
      ['labels', labels.length > 0 ? text(labels.join(' ')) : null],
      ['current', current],
      ['operation', vm.operationId === null ? null : text(vm.operationId)],
      ['version', text(version) || null],
      ...vm.conditions.map(
        ({ type, reason, message }) => [text(type), paint('red', text(`${reason}: ${message}`))] as const,
      ),
    ]),
    '\n',
    table(
      screen,
      ['device', 'format', 'default', 'file'],
      vm.disks.map(({ device, format, default: mode, file }) =>
        [device, format, mode ?? '-', file].map((cell) => text(cell)),
      ),
    ),
  ].join('');
}

async function change(session: Session, word: string, options: ChangeOptions): Promise<void> {
  const { name, monitor, host, guestAgent, label: changes, disk: disks } = options;
  const fields = { name, monitor, host, guestAgent: guestAgent === false ? null : guestAgent, disks };
  const isSaid = changes !== undefined || Object.values(fields).some((value) => value !== undefined);
  if (!isSaid)
    throw ownTrouble('usage', 'say what to change; `ledgerctl vm change --help` lists what can be');
  const path = route('vms', await findVm(session, word));
  const patch = (body: object, guards: Guards): Promise<Answer<ShownVm>> =>
    session.api.command<ShownVm>({ method: 'PATCH', path, body, ...guards }, 'monitor');
  const answer = changes
    ? await relabelled(session, {
        ...{ path, changes },
        write: (labels, guards) => patch({ ...fields, labels }, guards),
      })
    : await patch(fields, session.guards);
  await session.show(answer, () => `changed ${session.screen.text(word)}\n`);
}

async function forget(session: Session, word: string): Promise<void> {
  const vmId = await findVm(session, word);
  const text = await session.api.order({ method: 'DELETE', path: route('vms', vmId), ...session.guards });
  await session.show({ body: null, text, version: '' }, () => `forgot ${session.screen.text(word)}\n`);
}

async function status(session: Session, word: string): Promise<void> {
  const vmId = await findVm(session, word);
  const answer = await session.api.get<Status>(route('vms', vmId, 'status'), 'snapshottable');
  const { text, paint } = session.screen;
  const yesOrNo = (is: boolean): string => (is ? paint('green', 'yes') : paint('red', 'no'));
  await session.show(answer, ({ snapshottable, reasons, disks }) =>
    [
      `can be snapshotted: ${yesOrNo(snapshottable)}\n`,
      ...reasons.map((reason) => `  ${text(reason)}\n`),
      '\n',
      table(
        session.screen,
        ['device', 'snapshots', 'reason'],
        disks.map((disk) => [text(disk.device), yesOrNo(disk.snapshottable), text(disk.reason ?? '')]),
      ),
    ].join(''),
  );
}
