import type { Backup, CommandOf, DiskCapture } from '#ledger';
import type { BackupBody, CapturedDiskBody, CreateSnapshotBody } from './bodies.ts';
import { given } from './queries.ts';

type Capture = Omit<CommandOf<'CreateSnapshot'>, 'type' | 'snapshotId' | 'operationId' | 'limits'>;

/** What a body wants captured, in the ledger's words. What it leaves out is the ledger's to decide. */
export function captureIn(body: CreateSnapshotBody): Capture {
  const { name, description, labels, memory, memoryFile, memoryFormat, diskOnly, quiesce } = body;
  const [disks, backups] = [body.disks?.map(diskIn), body.backups?.map(backupIn)];
  const wanted = { memory, memoryFile, memoryFormat, disks, diskOnly, backups, quiesce };
  return given({ name, description, labels, ...wanted });
}

const diskIn = ({ device, snapshot, file, format, mode: fileMode }: CapturedDiskBody): DiskCapture => ({
  device,
  mode: snapshot,
  ...given({ file, format, fileMode }),
});

const backupIn = (body: BackupBody): Backup => {
  const { device, target, format = 'qcow2', sync = 'full', mode: fileMode = 'absolute-paths' } = body;
  return { device, target, format, sync, fileMode };
};
