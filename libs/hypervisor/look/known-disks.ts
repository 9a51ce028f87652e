import { type Disk, snapshotOfTag, tagOn, type Vm } from '#ledger';
import { isClosed } from '../load/closed-disk.ts';
import type { Errand } from '../errand.ts';
import { isLocalFile, type Sight } from './sight.ts';

export interface ForeignTag {
  readonly device: string;
  readonly tag: string;
}

/** Images can hold 65,536 snapshots; the log remembers no more foreign ones than this. */
const FOREIGN_TAGS_MAX = 1_000;

/** The disks of a sight as the ledger keeps them, with the defaults that were set before. */
export const ledgerDisks = ({ disks }: Sight, known: readonly Disk[]): Disk[] =>
  disks.map(({ device, node, format, file, readOnly }) => {
    const covered = isClosed({ node }) && known.find((disk) => disk.device === device);
    if (covered) return covered; // Its image is closed for a while, and belongs there still.
    const before = known.find((disk) => disk.device === device && disk.format === format);
    return {
      device,
      node,
      format,
      file,
      readOnly,
      default: before ? before.default : defaultOf(format, file),
    };
  });

const defaultOf = (format: string, file: string): Disk['default'] =>
  format === 'qcow2' && isLocalFile(file) ? 'internal' : null;

/** Tags on writable disks that belong to no snapshot this VM ever knew. */
export function foreignTags(
  { disks }: Sight,
  { usedIds, snapshots }: Pick<Vm, 'usedIds' | 'snapshots'>,
): ForeignTag[] {
  const adopted = new Set([...snapshots.values()].map(tagOn));
  const found = disks
    .filter(({ readOnly }) => !readOnly)
    .flatMap(({ device, tags }) => tags.map(({ tag }) => ({ device, tag })))
    .filter(({ tag }) => tag !== '' && !adopted.has(tag) && !usedIds.has(snapshotOfTag(tag) ?? ''));
  return found.slice(0, FOREIGN_TAGS_MAX);
}

/**
 * Plans rest on the disks that are there, whatever the ledger knows. What the look found otherwise is for the caller to
 * record once the plan is admitted: a disk that a refusal has told of is taken off again, and a ledger that went on
 * believing in it would refuse without another look.
 */
export function presentDisks(errand: Errand, sight: Sight): () => Promise<void> {
  const { place, vm, journal } = errand;
  const disks = sight.power === 'off' ? vm.disks : ledgerDisks(sight, vm.disks); // Off, nobody tells of new ones.
  const foreign = foreignTags(sight, vm);
  place.disks = disks;
  const isKnown = areSame(disks, vm.disks, DISK_FIELDS) && areSame(foreign, vm.foreignTags, TAG_FIELDS);
  return async () => {
    if (!isKnown) await journal.disks({ disks: [...disks], foreignTags: foreign });
  };
}

const DISK_FIELDS = [
  'device',
  'node',
  'format',
  'file',
  'readOnly',
  'default',
] as const satisfies (keyof Disk)[];
const TAG_FIELDS = ['device', 'tag'] as const satisfies (keyof ForeignTag)[];

const areSame = <T>(some: readonly T[], others: readonly T[], fields: readonly (keyof T)[]): boolean =>
  some.length === others.length &&
  some.every((one, index) => fields.every((field) => one[field] === others[index]?.[field]));
