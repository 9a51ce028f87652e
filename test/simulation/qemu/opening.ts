import { optionalTextOf, textOf } from './arguments.ts';
import type { BlockGraph, BlockNode } from './block-graph.ts';
import type { Backing, Image } from './image.ts';
import { isObject, type JsonObject } from './json.ts';
import { QmpError } from './qmp-error.ts';
import type { Surroundings } from './work.ts';

/** Whoever opens images: a QEMU. */
interface Opener {
  readonly graph: BlockGraph;
  readonly surroundings: Surroundings;
}

interface Naming {
  readonly name: string;
  /** Absent: QEMU finds one. */
  readonly fileName?: string;
  readonly isReadOnly: boolean;
}

/** Opens an image and all that its header names, the lowest first. Throws a `QmpError`. */
export function openWithChain(machine: Opener, image: Image, naming: Naming): BlockNode {
  requireFree(image, naming.isReadOnly ? 'read' : 'write');
  const backing = image.backing ? openBelow(machine, image.backing) : null;
  return machine.graph.open(image, { ...naming, backing });
}

function openBelow(machine: Opener, { path }: Backing): BlockNode {
  try {
    const image = imageAt(machine, path);
    requireFree(image, 'read');
    const backing = image.backing ? openBelow(machine, image.backing) : null;
    return machine.graph.open(image, { name: null, isReadOnly: true, backing });
  } catch (error) {
    if (error instanceof QmpError)
      throw new QmpError(`Could not open backing file: ${error.message.split('\n', 1).join()}`);
    throw error;
  }
}

function imageAt({ surroundings }: Opener, path: string): Image {
  const image = surroundings.imageAt(path);
  if (image) return image;
  throw new QmpError(`Could not open '${path}': No such file or directory`);
}

/** What QEMU and qemu-img say when somebody else has the image; null when it is free. */
export function lockTrouble({ path, writer, readers }: Image, wanted: 'read' | 'write'): string | null {
  const isFree = writer === null && (wanted === 'read' || readers.size === 0);
  if (isFree) return null;
  const lock = wanted === 'read' ? 'shared "write"' : '"write"';
  return `Failed to get ${lock} lock\nIs another process using the image [${path}]?`;
}

function requireFree(image: Image, wanted: 'read' | 'write'): void {
  const trouble = lockTrouble(image, wanted);
  if (trouble) throw new QmpError(trouble);
}

const NODE_NAME = /^[A-Za-z][\w.-]*$/;
const NODE_NAME_CHARACTERS_MAX = 31;

/** `blockdev-add`. */
export function blockdevAdd(machine: Opener, args: JsonObject): void {
  const { graph } = machine;
  const name = textOf(args, 'node-name');
  const driver = textOf(args, 'driver');
  if (!NODE_NAME.test(name) || name.length > NODE_NAME_CHARACTERS_MAX)
    throw new QmpError(`Invalid node-name: '${name}'`);
  if (graph.find(name)) throw new QmpError(`Duplicate nodes with node-name='${name}'`);
  if (driver === 'null-co') return graph.openNull(name, Number(args['size']));
  const file = isObject(args['file']) ? textOf(args['file'], 'filename') : '';
  const image = imageAt(machine, file);
  if (image.format !== driver) throw new QmpError('Image is not in qcow2 format');
  const naming = { name, isReadOnly: args['read-only'] === true };
  const below = optionalTextOf(args, 'backing');
  if (args['backing'] === undefined) openWithChain(machine, image, naming);
  else {
    requireFree(image, naming.isReadOnly ? 'read' : 'write');
    graph.open(image, { ...naming, backing: below === null ? null : nodeNamed(machine, below, '') });
  }
  graph.settle();
}

/** Throws as QEMU does for a name that it does not know, of a device perhaps. */
export function nodeNamed({ graph }: Opener, name: string, device = name): BlockNode {
  const node = graph.find(name);
  if (node) return node;
  throw new QmpError(`Cannot find device='${device}' nor node-name='${name}'`);
}

const QDEV = /^\/machine\/peripheral\/([^/]+)(?:\/virtio-backend)?$/;

/** `qom-set` of a device's `drive`. Nothing tells the guest. */
export function setDrive(machine: Opener, args: JsonObject): void {
  const { graph } = machine;
  const path = textOf(args, 'path');
  const device = graph.devices.find(({ id }) => id === QDEV.exec(path)?.[1]);
  if (!device) throw new QmpError(`Device '${path}' not found`, 'DeviceNotFound');
  const node = nodeNamed(machine, textOf(args, 'value'), '');
  if (node.isReadOnly) throw new QmpError('Block node is read-only');
  device.node = node;
  graph.settle();
}
