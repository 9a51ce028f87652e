import { imageInfo } from './image.ts';
import type { Json, JsonObject } from './json.ts';
import type { Machine, OpenDisk } from './machine.ts';

/** Devices of the guest and what is in them. */
export const blocks = (machine: Machine): Json =>
  machine.disks
    .filter(({ device }) => device !== null)
    .map((disk) => ({
      'io-status': 'ok',
      device: '',
      locked: false,
      removable: false,
      inserted: formatNode(machine, disk),
      qdev: `/machine/peripheral/${disk.device}/virtio-backend`,
      type: 'unknown',
    }));

/** Every node, newest first, each format above its file. */
export const nodes = (machine: Machine): Json =>
  machine.disks.toReversed().flatMap((disk) => [formatNode(machine, disk), fileNode(disk)]);

const formatNode = (machine: Machine, disk: OpenDisk): JsonObject => ({
  ...blockDeviceInfo(disk, disk.node, disk.image.format),
  image: imageInfo(disk.image, machine.tableOf(disk)),
});

const fileNode = (disk: OpenDisk): JsonObject => ({
  ...blockDeviceInfo(disk, `${disk.node}_f`, 'file'),
  image: {
    'virtual-size': disk.image.virtualSizeBytes,
    filename: disk.image.path,
    format: 'file',
    'actual-size': 200_704,
    'dirty-flag': false,
  },
});

/** `BlockDeviceInfo` of QEMU's schema, without its image. */
const blockDeviceInfo = (
  { image, isReadOnly = false }: OpenDisk,
  node: string,
  driver: string,
): JsonObject => ({
  iops_rd: 0,
  detect_zeroes: 'off',
  iops_wr: 0,
  ro: isReadOnly,
  'node-name': node,
  backing_file_depth: 0,
  drv: driver,
  iops: 0,
  bps_wr: 0,
  write_threshold: 0,
  encrypted: false,
  bps: 0,
  bps_rd: 0,
  cache: { 'no-flush': false, direct: false, writeback: true },
  file: image.path,
});

/** Newest first. */
export const jobs = (machine: Machine): Json =>
  machine.jobs.map(({ id, type, status, error }) => ({
    'current-progress': status === 'concluded' ? 1 : 0,
    status,
    'total-progress': 1,
    type,
    id,
    ...(error !== null && { error }),
  }));
