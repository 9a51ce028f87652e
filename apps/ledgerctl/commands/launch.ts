import type { Command } from 'commander';
import type { ShownOperation, ShownVm } from '../answers.ts';
import { route } from '../api.ts';
import { findVm } from '../find.ts';
import { ownTrouble, Trouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';

/** QEMU takes no longer ones, and none that begins with a hash. */
const NODE = /^[A-Za-z][A-Za-z0-9._-]{0,30}$/;
const DEVICE = /^[A-Za-z][A-Za-z0-9._-]*$/;

interface LaunchOptions {
  readonly deviceDriver: string;
  readonly anyway?: boolean;
}

/** `vm launch`: with external snapshots the file to start a machine from is another one after each. */
export function launchCommand(vm: Command, does: Does): void {
  vm.command('launch')
    .description('print the disks to start a machine from, as arguments of QEMU for a shell')
    .argument('<VM>', 'name or id')
    .option('--device-driver <driver>', 'the kind of device that the disks are', 'virtio-blk-pci')
    .option('--anyway', 'also while an operation is open, whose end may name other files')
    .action(does(launch));
}

async function launch(
  session: Session,
  word: string,
  { deviceDriver, anyway = false }: LaunchOptions,
): Promise<void> {
  const vmId = await findVm(session, word);
  const answer = await session.api.get<ShownVm>(route('vms', vmId), 'monitor');
  const { operationId } = answer.body;
  if (operationId !== null && !anyway) await requireSure(session, operationId);
  await session.show(answer, ({ disks }) => {
    const lines = disks.flatMap((disk, index) => argumentsOf(disk, index, deviceDriver));
    return `${lines.join(' \\\n')}\n`;
  });
}

/**
 * What a create or a delete has done already only its end tells, and a machine that is started before that may write into
 * what a snapshot holds. A load may wait for the machine, and does all of it again when that is back.
 */
async function requireSure({ api, remark }: Session, operationId: string): Promise<void> {
  const { kind } = (await api.get<ShownOperation>(route('operations', operationId), 'outcome')).body;
  if (kind === 'load') return remark('a load is open on the machine: it goes on when the machine is back');
  throw new Trouble(
    {
      ...{ type: 'about:blank', title: 'An operation is open', status: 409, reason: 'vm-busy' },
      detail: `a ${kind} is open on the machine, and the disks to start it from may be others when it has ended`,
      ...{ retryable: true, operationId },
    },
    { next: `wait for it: ledgerctl operation ${operationId} --wait; or --anyway` },
  );
}

type Disk = ShownVm['disks'][number];

/** A node keeps its name when it has one that QEMU would take from us; else it is numbered. */
function argumentsOf(
  { device, node, format, file, readOnly }: Disk,
  index: number,
  driver: string,
): string[] {
  if (!file.startsWith('/'))
    throw ownTrouble('usage', `disk "${device}" is ${file}, which is no file: start it as before`);
  const name = NODE.test(node) ? node : `disk-${index}`;
  const id = DEVICE.test(device) ? [`id=${device}`] : [];
  const block = [
    `driver=${format}`,
    `node-name=${name}`,
    'file.driver=file',
    `file.filename=${valued(file)}`,
    ...(readOnly ? ['read-only=on'] : []),
  ];
  return [
    `-blockdev ${quoted(block.join(','))}`,
    `-device ${quoted([driver, `drive=${name}`, ...id].join(','))}`,
  ];
}

/** A comma ends a value, and is said by two. */
const valued = (value: string): string => value.replaceAll(',', ',,');

/** For a shell; what it would read as itself stands without quotes. */
const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
