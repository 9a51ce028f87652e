import { type DiskEvidence, type Finding, snapshotOfTag, tagOn, type Snapshot, type Vm } from '#ledger';
import { isClosed } from '../load/closed-disk.ts';
import { type FileSight, snapshotDrift, traceOf } from './drift-of-snapshot.ts';
import { isLocalFile, type SeenDisk, type SeenTag, type Sight } from '../look/sight.ts';
import { spoiled, wrongChains } from './wrong-chain.ts';
import { wrongCurrent } from './wrong-current.ts';

/* The ledger beside what a look has found. Pure: whoever looks knows nothing of this, and the other way round. */

/** Everything that was looked at. */
export interface Looked {
  readonly sight: Sight;
  /** Files below the disks, and those of memory, by their paths. */
  readonly files: ReadonlyMap<string, FileSight>;
  /** Files that bear the names of snapshots of this VM, and that nobody knows any more. */
  readonly strays: readonly string[];
}

/** Snapshots that one sentence names. */
const NAMES_MAX = 5;

/** Where a VM is not what the ledger believes, the gravest first. Only for one that nobody works on. */
export function driftOf(vm: Readonly<Vm>, looked: Looked): Finding[] {
  const wrong = wrongChains(vm, looked.sight);
  const files = filesOf(looked);
  const ofSnapshots = [...vm.snapshots.values()].flatMap((snapshot) => snapshotDrift(vm, snapshot, files));
  const renamed = new Set(ofSnapshots.filter(({ kind }) => kind === 'renamed').map(({ tag }) => tag ?? ''));
  return [
    ...wrong,
    ...closedDisks(vm, looked.sight),
    ...spoiled(vm, looked.sight, wrong),
    ...wrongCurrent(vm, looked.sight),
    ...ofSnapshots,
    ...absentDisks(vm, looked.sight),
    ...orphans(vm, looked),
    ...strangers(vm, looked.sight, renamed),
  ];
}

/**
 * What is a disk's top now was seen there, and in no other way. A disk that a machine which is off must not write was
 * not looked into: nothing follows from that.
 */
const filesOf = ({ sight, files }: Looked): ReadonlyMap<string, FileSight> =>
  new Map([
    ...files,
    ...sight.disks
      .filter(
        (disk) => !isClosed(disk) && isLocalFile(disk.file) && !(disk.readOnly && sight.power === 'off'),
      )
      .map(({ file, tags, backing }) => [file, { kind: 'seen' as const, tags, backing }] as const),
  ]);

/** Disks that snapshots name and the machine has not, or whose file is gone while it is off. */
function absentDisks({ disks, snapshots }: Readonly<Vm>, sight: Sight): Finding[] {
  const isThere = (device: string): boolean => sight.disks.some((disk) => disk.device === device);
  const named = [...snapshots.values()].flatMap((snapshot) =>
    snapshot.disks.filter(({ mode }) => mode !== 'none').map(({ device }) => device),
  );
  const known = sight.power === 'off' ? disks.map(({ device }) => device) : [];
  return [...new Set([...named, ...known])]
    .filter((device) => !isThere(device))
    .map((device) => {
      const file = disks.find((disk) => disk.device === device)?.file;
      const users = [...snapshots.values()].filter((snapshot) => holds(snapshot, device));
      const what = file === undefined ? 'is not there any more' : `has lost its file ${file}`;
      const effect = users.length > 0 ? `: ${namesOf(users)} cannot be loaded without it` : '';
      const where = { device, ...(file !== undefined && { file }) };
      const message = `disk "${device}" ${what}${effect}`;
      return { kind: 'config-changed' as const, ...where, message, evidence: [] };
    });
}

/** Of a machine that is held an operator knows already. */
function closedDisks({ hold, name }: Readonly<Vm>, { disks }: Sight): Finding[] {
  if (hold) return [];
  return disks.filter(isClosed).map(({ device }) => ({
    ...{ kind: 'config-changed', device, evidence: [] },
    message:
      `disk "${device}" holds nothing since a load ended in its middle, and what the guest writes there is lost: ` +
      `load a snapshot, or power the machine off and start it as "ledgerctl vm launch ${name}" says`,
  }));
}

function namesOf(snapshots: readonly Snapshot[]): string {
  const names = snapshots.slice(0, NAMES_MAX).map(({ name }) => `"${name}"`);
  const left = snapshots.length - names.length;
  return left > 0 ? `${names.join(', ')} and ${left} more` : names.join(', ');
}

const holds = ({ disks }: Snapshot, device: string): boolean =>
  disks.some((disk) => disk.device === device && disk.mode !== 'none');

/** Tags and files of snapshots that this log knows to be gone. What a hold names has an owner already. */
function orphans(vm: Readonly<Vm>, { sight, strays }: Looked): Finding[] {
  const left = vm.hold?.leftovers ?? [];
  const tags = sight.disks.flatMap((disk) =>
    disk.tags
      .filter(
        ({ tag }) => isOrphan(vm, tag) && !left.some((one) => one.tag === tag && one.file === disk.file),
      )
      .map((seen) => orphanTag(disk, seen)),
  );
  return [...tags, ...strays.filter((file) => !left.some((one) => one.file === file)).map(orphanFile)];
}

/** A tag of ours on a disk, of a snapshot that is gone. */
export const orphanTag = (
  disk: Pick<SeenDisk, 'device' | 'file'>,
  seen: Omit<SeenTag, 'isListed'>,
): Finding => ({
  ...{ kind: 'orphan', device: disk.device, file: disk.file, tag: seen.tag },
  message: `${seen.tag} is still on disk "${disk.device}", and no snapshot of the ledger explains it`,
  evidence: [traceOf(disk, seen)],
});

/** A file of ours, of a snapshot that is gone. */
export const orphanFile = (file: string): Finding => ({
  ...{ kind: 'orphan', file },
  message: `${file} bears the name of a snapshot, and no snapshot of the ledger explains it`,
  evidence: [],
});

function isOrphan({ usedIds, snapshots }: Readonly<Vm>, tag: string): boolean {
  const id = snapshotOfTag(tag);
  return id !== null && usedIds.has(id) && !snapshots.has(id);
}

/** Tags that this log never gave, one finding for the same on all disks: who adopts it adopts all of them. */
function strangers(vm: Readonly<Vm>, sight: Sight, renamed: ReadonlySet<string>): Finding[] {
  const known = new Set([...vm.snapshots.values()].map(tagOn));
  const isStrange = ({ tag }: SeenTag): boolean =>
    tag !== '' && !known.has(tag) && !renamed.has(tag) && !vm.usedIds.has(snapshotOfTag(tag) ?? '');
  const seen = sight.disks
    .filter(({ readOnly }) => !readOnly)
    .flatMap((disk) => disk.tags.filter(isStrange).map((tag) => traceOf(disk, tag)));
  const byTag = Map.groupBy(seen, ({ tag }) => tag);
  return [...byTag].map(([tag, evidence]) => strangerOf(tag, evidence));
}

function strangerOf(tag: string, evidence: DiskEvidence[]): Finding {
  const devices = evidence.map(({ device }) => device);
  const twice = devices.find((device, at) => devices.indexOf(device) !== at);
  if (twice !== undefined) {
    const message = `"${tag}" is twice on disk "${twice}": nobody can say which is meant`;
    return { kind: 'duplicate', device: twice, tag, message, evidence };
  }
  const where = devices.map((device) => `"${device}"`).join(', ');
  return { kind: 'foreign', tag, message: `"${tag}" on disk ${where} is not of this ledger`, evidence };
}
