/* What QEMU and qemu-img tell about disks, with the lines of QEMU's schema (7.2) that we rely on. */
import type { ImageOptions } from './commands.ts';
import { fileNameOf } from './file-name.ts';
import { Reply } from './reply.ts';

/** One snapshot inside an image. The image knows no parent, and no date that could be trusted to order them. */
export interface DiskSnapshot {
  /** Unique within the image, for as long as the snapshot stands. */
  readonly id: string;
  readonly name: string;
  /** 0 when it holds no memory. */
  readonly vmStateSize: number;
  readonly dateSec: number;
  readonly dateNsec: number;
  readonly vmClockSec: number;
  readonly vmClockNsec: number;
}

/** What `qemu-img info --output=json` says, and `query-block` about an open image. */
export interface ImageInfo {
  /** The innermost file when QEMU names one, else QEMU's own words. */
  readonly file: string;
  readonly format: string;
  readonly virtualSizeBytes: number;
  readonly snapshots: readonly DiskSnapshot[];
  /** The file that unwritten parts are read from; null when there is none. */
  readonly backingFile: string | null;
  /** Its format, where the image's header says it. */
  readonly backingFormat: string | null;
}

/** An open image in QEMU's block graph. */
export interface BlockNode {
  readonly nodeName: string;
  readonly driver: string;
  readonly readOnly: boolean;
  /** See `ImageInfo`. */
  readonly file: string;
  readonly hasDirtyBitmaps: boolean;
  readonly snapshots: readonly DiskSnapshot[];
  readonly virtualSizeBytes: number;
  readonly backingFile: string | null;
  /** Absent: as QEMU opens an image when it is told nothing. */
  readonly opened?: ImageOptions;
}

/** A guest's device and the image on top of its chain. */
export interface BlockDevice extends BlockNode {
  /** The drive's id; empty in machines that use `-blockdev`. */
  readonly device: string;
  /** The device's id, or its path in QEMU's object tree. */
  readonly qdev: string | null;
}

// { 'command': 'query-block', 'returns': ['BlockInfo'] }
// { 'struct': 'BlockInfo', 'data': { 'device': 'str', '*qdev': 'str', '*inserted': 'BlockDeviceInfo', ... } }
/** Devices without a medium, such as an empty CD drive, are left out. */
export const parseBlocks = (reply: unknown): BlockDevice[] =>
  new Reply(reply, 'query-block').items().flatMap((device) => {
    const inserted = device.optional('inserted');
    if (!inserted) return [];
    return {
      device: device.member('device').text(),
      qdev: device.optional('qdev')?.text() ?? null,
      ...nodeOf(inserted),
    };
  });

/** Takes the reply to `query-block`: the files under each device as QEMU has them open, the one on top first. */
export const parseChains = (reply: unknown): string[][] =>
  new Reply(reply, 'query-block').items().flatMap((device) => {
    const inserted = device.optional('inserted');
    return inserted ? [chainOf(inserted.member('image'))] : [];
  });

// { 'struct': 'ImageInfo', 'data': { ..., '*backing-image': 'ImageInfo' } }
function chainOf(top: Reply): string[] {
  const chain: string[] = [];
  for (let image: Reply | null = top; image; image = image.optional('backing-image')) {
    chain.push(fileNameOf(image.member('filename').text()));
  }
  return chain;
}

// { 'command': 'query-named-block-nodes', 'data': { '*flat': 'bool' }, 'returns': ['BlockDeviceInfo'] }
/** Always ask with `flat: true`: without it the reply grows with the square of a chain's length, and QEMU hangs. */
export const parseNodes = (reply: unknown): BlockNode[] =>
  new Reply(reply, 'query-named-block-nodes').items().map(nodeOf);

// { 'struct': 'BlockDeviceInfo', 'data': { 'file': 'str', '*node-name': 'str', 'ro': 'bool', 'drv': 'str',
//     '*backing_file': 'str', 'image': 'ImageInfo', '*dirty-bitmaps': ['BlockDirtyInfo'], ... } }
function nodeOf(node: Reply): BlockNode {
  const image = imageOf(node.member('image'));
  return {
    nodeName: node.optional('node-name')?.text() ?? '',
    driver: node.member('drv').text(),
    readOnly: node.member('ro').flag(),
    file: fileNameOf(node.member('file').text()),
    hasDirtyBitmaps: (node.optional('dirty-bitmaps')?.items() ?? []).length > 0,
    snapshots: image.snapshots,
    virtualSizeBytes: image.virtualSizeBytes,
    backingFile: image.backingFile,
    ...openedWith(node),
  };
}

// { 'struct': 'BlockDeviceInfo', 'data': { ..., 'detect_zeroes': 'BlockdevDetectZeroesOptions',
//     'cache': 'BlockdevCacheInfo' } }
// { 'struct': 'BlockdevCacheInfo', 'data': { 'writeback': 'bool', 'direct': 'bool', 'no-flush': 'bool' } }
/** Writing back is no matter of the image, but of the device. */
function openedWith(node: Reply): Pick<BlockNode, 'opened'> {
  const cache = node.optional('cache');
  const direct = cache?.member('direct').flag() ?? false;
  const noFlush = cache?.member('no-flush').flag() ?? false;
  const zeroes = node.optional('detect_zeroes')?.text() ?? 'off';
  const opened: ImageOptions = {
    ...((direct || noFlush) && { cache: { direct, 'no-flush': noFlush } }),
    ...(zeroes !== 'off' && { 'detect-zeroes': zeroes }),
    ...(zeroes === 'unmap' && { discard: 'unmap' }),
  };
  return Object.keys(opened).length === 0 ? {} : { opened };
}

/** Takes the JSON that `qemu-img info --output=json` printed, already read. Throws `QmpGarbled`. */
export const parseImage = (info: unknown): ImageInfo => imageOf(new Reply(info, 'qemu-img info'));

// { 'struct': 'ImageInfo', 'data': { 'filename': 'str', 'format': 'str', 'virtual-size': 'int',
//     '*full-backing-filename': 'str', '*snapshots': ['SnapshotInfo'], '*backing-image': 'ImageInfo', ... } }
function imageOf(image: Reply): ImageInfo {
  // What QEMU has open counts before what the image's header says.
  const backing =
    image.optional('backing-image')?.member('filename') ?? image.optional('full-backing-filename');
  return {
    file: fileNameOf(image.member('filename').text()),
    format: image.member('format').text(),
    virtualSizeBytes: image.member('virtual-size').number(),
    snapshots: (image.optional('snapshots')?.items() ?? []).map(snapshotOf),
    backingFile: backing ? fileNameOf(backing.text()) : null,
    backingFormat: image.optional('backing-filename-format')?.text() ?? null,
  };
}

// { 'struct': 'SnapshotInfo', 'data': { 'id': 'str', 'name': 'str', 'vm-state-size': 'int', 'date-sec': 'int',
//     'date-nsec': 'int', 'vm-clock-sec': 'int', 'vm-clock-nsec': 'int', '*icount': 'int' } }
const snapshotOf = (snapshot: Reply): DiskSnapshot => ({
  id: snapshot.member('id').text(),
  name: snapshot.member('name').text(),
  vmStateSize: snapshot.member('vm-state-size').number(),
  dateSec: snapshot.member('date-sec').number(),
  dateNsec: snapshot.member('date-nsec').number(),
  vmClockSec: snapshot.member('vm-clock-sec').number(),
  vmClockNsec: snapshot.member('vm-clock-nsec').number(),
});
