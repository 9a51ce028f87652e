import type { Command } from 'commander';
import type { ShownVm } from '../answers.ts';
import { route } from '../api.ts';
import { findVm } from '../find.ts';
import { ownTrouble } from '../problem.ts';
import type { Does, Session } from '../session.ts';

/** QEMU takes no longer ones, and none that begins with a hash. */
const NODE = /^[A-Za-z][A-Za-z0-9._-]{0,30}$/;
const DEVICE = /^[A-Za-z][A-Za-z0-9._-]*$/;

interface LaunchOptions {
  readonly deviceDriver: string;
}

/** `vm launch`: with external snapshots the file to start a machine from is another one after each. */
export function launchCommand(vm: Command, does: Does): void {
  vm.command('launch')
    .description('print the disks to start a machine from, as arguments of QEMU for a shell')
    .argument('<VM>', 'name or id')
    .option('--device-driver <driver>', 'the kind of device that the disks are', 'virtio-blk-pci')
    .action(does(launch));
}

async function launch(session: Session, word: string, { deviceDriver }: LaunchOptions): Promise<void> {
  const vmId = await findVm(session, word);
  const answer = await session.api.get<ShownVm>(route('vms', vmId), 'monitor');
  await session.show(answer, ({ disks }) => {
    const lines = disks.flatMap((disk, index) => argumentsOf(disk, index, deviceDriver));
    return `${lines.join(' \\\n')}\n`;
  });
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
