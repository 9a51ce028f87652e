import { Choice, Flag, Id, LabelMap, Line, LineOrNull, ListOf, Text, TextList } from './fields.ts';

const CAPTURE_MODES = ['none', 'internal', 'external'] as const;
type CaptureWord = (typeof CAPTURE_MODES)[number];

const FILE_MODES = ['absolute-paths', 'existing'] as const;
type FileModeWord = (typeof FILE_MODES)[number];

const SYNC_WORDS = ['full', 'top', 'none'] as const;
const MEMORY_FORMATS = ['state', 'stream'] as const;
const QUIESCE_WORDS = ['none', 'try', 'require'] as const;
const SAFETY_WORDS = ['disks', 'memory', 'none'] as const;

/** The body of a command that needs none: `{}` or nothing. */
// oxlint-disable-next-line typescript/no-extraneous-class -- a shape is a class, and this shape has nothing.
export class NoBody {}

export class RegisteredDiskBody {
  @Line({ says: 'drive id if set, else the qdev id, else the node name', isRequired: true })
  device!: string;

  @Line({ says: 'absolute path of the image of a machine that is off; inside an image root' })
  file?: string;

  @Line({ says: 'the format of that image', max: 32 })
  format?: string;

  @Choice(CAPTURE_MODES, { says: 'what a create does with the disk when it says nothing' })
  default?: CaptureWord;
}

export class RegisterVmBody {
  @Id({ says: 'made up when absent' })
  id?: string;

  @Text({ says: '1 to 255 bytes, unique among VMs', isRequired: true })
  name!: string;

  @Line({ says: 'the QMP socket, inside a monitor root', isRequired: true })
  monitor!: string;

  @Line({ says: 'the socket of the guest agent, inside a monitor root' })
  guestAgent?: string;

  @Line({ says: 'the host that the VM runs on; this one when absent', max: 253 })
  host?: string;

  @LabelMap({ says: 'up to 64 keys of up to 63 bytes, values up to 1 KiB' })
  labels?: Record<string, string>;

  @ListOf(() => RegisteredDiskBody, {
    says: 'the disks of a machine that is off, or the defaults of discovered ones',
  })
  disks?: RegisteredDiskBody[];

  @Text({ says: 'not built yet' })
  domainXml?: string;
}

export class DiskDefaultBody {
  @Line({ says: 'the disk', isRequired: true })
  device!: string;

  @Choice(CAPTURE_MODES, { says: 'what a create does with it when it says nothing', isRequired: true })
  default!: CaptureWord;
}

export class ChangeVmBody {
  @Text({ says: '1 to 255 bytes, unique among VMs' })
  name?: string;

  @LabelMap({ says: 'all of them: what is not here is taken away' })
  labels?: Record<string, string>;

  @Line({ says: 'the QMP socket, inside a monitor root' })
  monitor?: string;

  @LineOrNull({ says: 'the socket of the guest agent, inside a monitor root; null takes it away' })
  guestAgent?: string | null;

  @Line({ says: 'the host that the VM runs on', max: 253 })
  host?: string;

  @ListOf(() => DiskDefaultBody, { says: 'new defaults of some disks' })
  disks?: DiskDefaultBody[];
}

export class CapturedDiskBody {
  @Line({ says: 'the disk', isRequired: true })
  device!: string;

  @Choice(CAPTURE_MODES, {
    says: 'inside the qcow2 file, in a file of its own, or not at all',
    isRequired: true,
  })
  snapshot!: CaptureWord;

  @Line({ says: 'external only: the file that the machine goes on writing in; made up when absent' })
  file?: string;

  @Line({ says: 'the format of that file: qcow2 when absent', max: 32 })
  format?: string;

  @Choice(FILE_MODES, { says: 'whether that file is made, and must not exist, or is there already' })
  mode?: FileModeWord;
}

export class BackupBody {
  @Line({ says: 'the disk', isRequired: true })
  device!: string;

  @Line({ says: 'the file to copy it into', isRequired: true })
  target!: string;

  @Line({ says: 'the format of that file: qcow2 when absent', max: 32 })
  format?: string;

  @Choice(SYNC_WORDS, {
    says: 'everything, only the top layer, or only what is overwritten from now on; full when absent',
  })
  sync?: (typeof SYNC_WORDS)[number];

  @Choice(FILE_MODES, { says: 'whether the file is made, and must not exist, or is there already' })
  mode?: FileModeWord;
}

export class CreateSnapshotBody {
  @Id({ says: 'made up when absent' })
  id?: string;

  @Text({
    says: '1 to 255 bytes, unique among the live snapshots of the VM; made up from the id when absent',
  })
  name?: string;

  @Text({ says: 'up to 64 KiB' })
  description?: string;

  @Choice(CAPTURE_MODES, { says: 'internal when the machine runs and not diskOnly, else none' })
  memory?: CaptureWord;

  @Line({ says: 'the file that the memory goes into when no disk is to hold it; made up when absent' })
  memoryFile?: string;

  @Choice(MEMORY_FORMATS, {
    says: 'state loads into a running machine, stream into a new one; state when absent',
  })
  memoryFormat?: (typeof MEMORY_FORMATS)[number];

  @ListOf(() => CapturedDiskBody, { says: 'every writable disk by its default when absent' })
  disks?: CapturedDiskBody[];

  @ListOf(() => BackupBody, { says: 'copies of disks, made from the same instant on' })
  backups?: BackupBody[];

  @Flag({ says: 'no memory, whatever the power state' })
  diskOnly?: boolean;

  @Choice(QUIESCE_WORDS, { says: 'whether the guest agent freezes the file systems for the capture' })
  quiesce?: (typeof QUIESCE_WORDS)[number];

  @LabelMap({ says: 'up to 64 keys of up to 63 bytes, values up to 1 KiB' })
  labels?: Record<string, string>;

  @Line({ says: 'the hash of a plan: do just that, or nothing', max: 128 })
  planHash?: string;
}

export class PatchSnapshotBody {
  @Text({ says: '1 to 255 bytes, unique among the live snapshots of the VM' })
  name?: string;

  @Text({ says: 'up to 64 KiB' })
  description?: string;

  @LabelMap({ says: 'all of them: what is not here is taken away' })
  labels?: Record<string, string>;

  @Flag({ says: 'whether it refuses to be deleted' })
  protected?: boolean;
}

export class LoadSnapshotBody {
  @Choice(SAFETY_WORDS, {
    says: 'what is saved of the present before, so that the load can be undone; disks when absent',
  })
  safety?: (typeof SAFETY_WORDS)[number];

  @Choice(['as-captured', 'running', 'paused'], { says: 'how the machine goes on' })
  // oxlint-disable-next-line unicorn/no-thenable -- the contract's word; it holds a text, which nobody can await.
  then?: 'as-captured' | 'running' | 'paused';

  @Flag({ says: 'leave the memory of the snapshot out' })
  disksOnly?: boolean;

  @Line({ says: 'the hash of a plan: do just that, or nothing', max: 128 })
  planHash?: string;
}

export class ReleaseHoldBody {
  @Text({ says: 'what was done about it, for whoever reads the log', isRequired: true, min: 1, max: 4096 })
  note!: string;
}

export class RepairBody {
  @Line({ says: 'the hash of a plan: do just that, or nothing; needed unless validateOnly', max: 128 })
  planHash?: string;
}

export class AdoptBody {
  @TextList({ says: 'their tags; all that are on every disk when absent' })
  names?: string[];
}
