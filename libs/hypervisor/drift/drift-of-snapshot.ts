import {
  chainUnder,
  type DiskEvidence,
  type Finding,
  snapshotOfTag,
  type Snapshot,
  tagOn,
  type Vm,
} from '#ledger';
import type { SeenTag } from '../look/sight.ts';

/* Whether one snapshot is all there. */

/** What there is of one file that the ledger knows. */
export type FileSight =
  | { readonly kind: 'gone' }
  /** `backing`: what its header names below it. */
  | { readonly kind: 'seen'; readonly tags: readonly SeenTag[]; readonly backing: string | null }
  /** It is there, and could not be looked into: nothing follows from that. */
  | { readonly kind: 'there' };

type Files = ReadonlyMap<string, FileSight>;

/** A tag as the log keeps it. */
export const traceOf = (
  { device, file }: { readonly device: string; readonly file: string },
  seen: Omit<SeenTag, 'isListed'>,
): DiskEvidence => ({
  ...{ device, file, tag: seen.tag, nativeId: seen.nativeId, date: seen.dateMs },
  ...{ vmClockNs: seen.vmClockNs, vmStateSizeBytes: seen.vmStateSizeBytes },
});

/** One of the places that a snapshot keeps something in, and what is wrong there; null: nothing. */
interface Part {
  readonly device?: string;
  readonly file: string;
  readonly trouble: Trouble | null;
}

type Trouble =
  /** It is not there at all. */
  | { readonly kind: 'gone'; readonly words: string }
  /** It is there and is not what it was. */
  | { readonly kind: 'partial' | 'duplicate'; readonly words: string; readonly seen: readonly SeenTag[] }
  | {
      readonly kind: 'renamed';
      readonly words: string;
      readonly seen: readonly SeenTag[];
      readonly tag: string;
    };

/** Of one that is being made or deleted nothing can be said. */
export function snapshotDrift(vm: Readonly<Vm>, snapshot: Snapshot, files: Files): Finding[] {
  if (snapshot.status === 'pending' || snapshot.status === 'deleting') return [];
  const parts = [...diskParts(vm, snapshot, files), ...memoryParts(snapshot, files)];
  const gone = parts.filter(({ trouble }) => trouble?.kind === 'gone');
  if (parts.length > 0 && gone.length === parts.length) return [missing(snapshot, gone)];
  return parts.flatMap((part) => findingOf(snapshot, part) ?? []);
}

function missing({ id: snapshotId, name }: Snapshot, parts: readonly Part[]): Finding {
  const where = parts.map(wordsOf).join('; ');
  return {
    ...{ kind: 'missing', snapshotId, message: `nothing is left of "${name}": ${where}` },
    evidence: [],
  };
}

const wordsOf = ({ trouble }: Part): string => trouble?.words ?? '';

function findingOf({ id: snapshotId, name }: Snapshot, { device, file, trouble }: Part): Finding | null {
  if (!trouble) return null;
  const where = { ...(device !== undefined && { device }), file };
  const message = `"${name}" is not whole: ${trouble.words}`;
  if (trouble.kind === 'gone') return { kind: 'partial', snapshotId, ...where, message, evidence: [] };
  const evidence = trouble.seen.map((seen) => traceOf({ device: device ?? '', file }, seen));
  const renamed = trouble.kind === 'renamed' && { tag: trouble.tag };
  return { kind: trouble.kind, snapshotId, ...where, ...renamed, message, evidence };
}

function diskParts(vm: Readonly<Vm>, snapshot: Snapshot, files: Files): Part[] {
  return snapshot.disks.flatMap(({ device, mode, file }) => {
    if (file === undefined || mode === 'none') return []; // Of what nobody recorded nothing can be missed.
    const below = chainTrouble(vm, file, files);
    const inside = mode === 'internal' && insideTrouble(vm, snapshot, { device, file }, files);
    return { device, file, trouble: inside || below };
  });
}

function insideTrouble(
  vm: Readonly<Vm>,
  snapshot: Snapshot,
  { device, file }: { device: string; file: string },
  files: Files,
): Trouble | null {
  const sight = files.get(file);
  if (sight?.kind !== 'seen') return sight?.kind === 'gone' ? goneFile(file) : null;
  const tag = tagOn(snapshot);
  const seen = sight.tags.filter((one) => one.tag === tag);
  const [only, ...more] = seen;
  if (!only) return renamedOrGone(vm, snapshot, { device, file, tags: sight.tags });
  if (more.length > 0) return { kind: 'duplicate', words: `${tag} is twice in ${file}`, seen };
  const words = whyAnother(snapshot, device, only);
  return words === null ? null : { kind: 'partial', words: `${tag} in ${file} ${words}`, seen };
}

/** Whoever deletes a tag and makes it anew has made another snapshot. Null: it is the one. */
function whyAnother({ evidence, memory }: Snapshot, device: string, seen: SeenTag): string | null {
  const taken = evidence.find((trace) => trace.device === device && trace.tag === seen.tag);
  if (taken && taken.date !== seen.dateMs) return 'is not the one that was taken';
  const isHolder = memory.mode === 'internal' && memory.device === device && memory.file === undefined;
  return isHolder && seen.vmStateSizeBytes === 0 ? 'holds no memory any more' : null;
}

/** Number and time together are as near as QEMU comes to an identity; each alone is reused. */
function renamedOrGone(
  { snapshots }: Readonly<Vm>,
  snapshot: Snapshot,
  { device, file, tags }: { device: string; file: string; tags: readonly SeenTag[] },
): Trouble {
  const tag = tagOn(snapshot);
  const trace = snapshot.evidence.find((one) => one.device === device && one.tag === tag);
  const known = new Set([...snapshots.values()].map(tagOn));
  const heir = tags.find(
    (one) =>
      !known.has(one.tag) &&
      snapshotOfTag(one.tag) === null &&
      one.nativeId === trace?.nativeId &&
      one.dateMs === trace.date &&
      one.vmClockNs === trace.vmClockNs,
  );
  if (!heir) return { kind: 'gone', words: `${tag} is not in ${file}` };
  return { kind: 'renamed', words: `${tag} is "${heir.tag}" in ${file} now`, seen: [heir], tag: heir.tag };
}

/** A layer must be there with all that it is read from, and each must stand on what it stood on. */
function chainTrouble(vm: Readonly<Vm>, file: string, files: Files): Trouble | null {
  for (const layer of chainUnder(vm, file)) {
    const sight = files.get(layer.file);
    if (sight?.kind === 'gone')
      return layer.file === file
        ? goneFile(file)
        : partial(`${layer.file}, which ${file} is read from, is gone`);
    if (sight?.kind !== 'seen' || layer.backing === null || sight.backing === layer.backing) continue;
    return partial(`${layer.file} stands on ${sight.backing ?? 'nothing'}, not on ${layer.backing}`);
  }
  return null;
}

const goneFile = (file: string): Trouble => ({ kind: 'gone', words: `${file} is gone` });
const partial = (words: string): Trouble => ({ kind: 'partial', words, seen: [] });

/** Memory in a file of its own: a state file holds it under the snapshot's tag. */
function memoryParts(snapshot: Snapshot, files: Files): Part[] {
  const { file, format = 'state' } = snapshot.memory;
  if (file === undefined) return [];
  const sight = files.get(file);
  const tag = tagOn(snapshot);
  const isThere =
    sight === undefined ||
    sight.kind === 'there' ||
    (sight.kind === 'seen' && (format === 'stream' || sight.tags.some((one) => one.tag === tag)));
  const words = sight?.kind === 'gone' ? `${file} is gone` : `${file} does not hold its memory`;
  return [{ file, trouble: isThere ? null : { kind: 'gone', words } }];
}
