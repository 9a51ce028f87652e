import type { BlockNode } from './block-graph.ts';
import { imageInfo } from './image.ts';
import type { Json, JsonObject } from './json.ts';
import type { Machine } from './machine.ts';

/** Devices of the guest and what is in them. */
export const blocks = (machine: Machine): Json =>
  machine.graph.devices.map(({ id, node }) => ({
    'io-status': 'ok',
    device: '',
    locked: false,
    removable: false,
    inserted: shownNode(machine, node),
    qdev: `/machine/peripheral/${id}/virtio-backend`,
    type: 'unknown',
  }));

/** Every node, newest first, each format above its file. */
export const nodes = (machine: Machine): Json =>
  machine.graph.nodes.toReversed().map((node) => shownNode(machine, node));

function shownNode(machine: Machine, node: BlockNode): JsonObject {
  const { name, isReadOnly, driver, backing } = node;
  const below = backing && machine.graph.chainOf(backing);
  return {
    iops_rd: 0,
    detect_zeroes: 'off',
    iops_wr: 0,
    ro: isReadOnly,
    'node-name': name,
    backing_file_depth: below?.length ?? 0,
    drv: driver,
    iops: 0,
    bps_wr: 0,
    write_threshold: 0,
    encrypted: false,
    bps: 0,
    bps_rd: 0,
    cache: { 'no-flush': false, direct: false, writeback: true },
    file: fileNameOf(node),
    ...(backing && { backing_file: fileNameOf(backing) }),
    image: shownImage(machine, node),
  };
}

const fileNameOf = ({ image }: BlockNode): string => image?.path ?? 'null-co://';

function shownImage(machine: Machine, node: BlockNode): JsonObject {
  const { image, driver, sizeBytes, backing } = node;
  if (!image || driver === 'file') {
    return {
      'virtual-size': sizeBytes,
      filename: fileNameOf(node),
      format: driver,
      ...(image && { 'actual-size': 200_704 }),
      'dirty-flag': false,
    };
  }
  return {
    ...imageInfo(image, machine.tableOf(node)),
    ...(backing && { 'backing-image': shownImage(machine, backing) }),
  };
}

/** Newest first. */
export const jobs = (machine: Machine): Json =>
  machine.jobs.map(({ id, type, status, error, done, total }) => ({
    'current-progress': done,
    status,
    'total-progress': total,
    type,
    id,
    ...(error !== null && { error }),
  }));

const MEMORY_BYTES = 64 * 1024 * 1024;

/** What a machine's memory depends on, as its object tree tells it. */
export const MACHINE_FACTS = {
  'query-cpus-fast': (): Json => [{ 'cpu-index': 0, 'qom-path': '/machine/unattached/device[0]' }],
  'query-memory-size-summary': (): Json => ({ 'base-memory': MEMORY_BYTES, 'plugged-memory': 0 }),
  'qom-get': ({ path }: JsonObject): Json =>
    path === '/machine' ? 'pc-q35-7.2-machine' : 'qemu64-x86_64-cpu',
  'qom-list': (machine: Machine, { path }: JsonObject): Json =>
    path === '/machine/peripheral'
      ? machine.graph.devices.map(({ id }) => ({ name: id, type: 'child<virtio-blk-pci>' }))
      : [],
};
