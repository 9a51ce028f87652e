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
    inserted: shownNode(machine, node, node.backing ? machine.graph.chainOf(node.backing) : []),
    qdev: `/machine/peripheral/${id}/virtio-backend`,
    type: 'unknown',
  }));

/** Every node, newest first, each format above its file. */
export const nodes = (machine: Machine): Json =>
  machine.graph.nodes.toReversed().map((node) => shownNode(machine, node, []));

/** With all that it stands on, or none of it. */
function shownNode(machine: Machine, node: BlockNode, below: readonly BlockNode[]): JsonObject {
  const { name, driver, backing } = node;
  const format = machine.graph.nodes.find(({ file }) => file === node) ?? node;
  return {
    iops_rd: 0,
    detect_zeroes: 'off',
    iops_wr: 0,
    ro: node.isOwned ? node.isReadOnly : format.isReadOnly, // What QEMU opened by itself follows what stands on it.
    'node-name': name,
    backing_file_depth: below.length,
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
    image: shownImage(machine, node, below),
  };
}

const fileNameOf = ({ image, sizeBytes }: BlockNode): string =>
  image?.path ?? `json:{"read-zeroes": true, "driver": "null-co", "size": ${sizeBytes}}`;

function shownImage(machine: Machine, node: BlockNode, below: readonly BlockNode[]): JsonObject {
  const { image, driver, sizeBytes } = node;
  const [next, ...rest] = below;
  if (!image || driver === 'file') {
    return {
      'virtual-size': sizeBytes,
      filename: fileNameOf(node),
      format: driver,
      ...(image && { 'actual-size': 200_704, 'dirty-flag': false }),
    };
  }
  return {
    ...imageInfo(image, machine.tableOf(node)),
    ...(next && { 'backing-image': shownImage(machine, next, rest) }),
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
