/* What a machine consists of, as QEMU (7.2) tells it. All of it is answered at once, without touching a disk. */
import type { QmpVersion } from './monitor.ts';
import { Reply } from './reply.ts';

// { 'command': 'qom-get', 'data': { 'path': 'str', 'property': 'str' }, 'returns': 'any' }
export type GetType = { readonly path: string; readonly property: 'type' };
/** The name of an object's type, e.g. `pc-q35-7.2-machine`. */
export const parseType = (reply: unknown): string => new Reply(reply, 'qom-get').text();

// { 'command': 'query-memory-size-summary', 'returns': 'MemoryInfo' }
// { 'struct': 'MemoryInfo', 'data': { 'base-memory': 'size', '*plugged-memory': 'size' } }
/** All the memory that the guest has, in bytes. */
export function parseMemorySize(reply: unknown): number {
  const size = new Reply(reply, 'query-memory-size-summary');
  return size.member('base-memory').number() + (size.optional('plugged-memory')?.number() ?? 0);
}

// { 'command': 'query-cpus-fast', 'returns': [ 'CpuInfoFast' ] }
// { 'union': 'CpuInfoFast', 'base': { 'cpu-index': 'int', 'qom-path': 'str', ... } }
/** Where QEMU's object tree keeps each virtual CPU. */
export const parseCpus = (reply: unknown): string[] =>
  new Reply(reply, 'query-cpus-fast').items().map((cpu) => cpu.member('qom-path').text());

export interface ObjectChild {
  /** An id under `/machine/peripheral`; a number that says nothing under `/machine/peripheral-anon`. */
  readonly name: string;
  /** E.g. `virtio-blk-pci`. */
  readonly type: string;
}

const CHILD = /^child<(.+)>$/;

// { 'command': 'qom-list', 'data': { 'path': 'str' }, 'returns': [ 'ObjectPropertyInfo' ] }
// { 'struct': 'ObjectPropertyInfo', 'data': { 'name': 'str', 'type': 'str', ... } }
/** The objects below one, without its other properties, in no order. */
export const parseChildren = (reply: unknown): ObjectChild[] =>
  new Reply(reply, 'qom-list').items().flatMap((property) => {
    const type = CHILD.exec(property.member('type').text())?.[1];
    return type === undefined ? [] : [{ name: property.member('name').text(), type }];
  });

/** What decides whether two QEMUs understand each other's memory: `7.2` of 7.2.22. */
export const releaseOf = ({ major, minor }: QmpVersion): string => `${major}.${minor}`;
