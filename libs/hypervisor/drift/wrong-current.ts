import { chainUnder, type Finding, type Snapshot, type Vm } from '#ledger';
import { isClosed } from '../load/closed-disk.ts';
import type { SeenDisk, Sight } from '../look/sight.ts';

/* The layers under a machine tell which snapshot it goes on from, as far as somebody else has put it on them. */

/**
 * Where the machine stands on what another snapshot holds than the one that it is said to stand on: on a file that the
 * ledger does not know, over a layer that it knows. Of its own files it knows what they stand on, and a machine on an
 * older one of them is on a wrong chain. Where it is not sure itself nothing contradicts it.
 */
export function wrongCurrent(vm: Readonly<Vm>, { disks }: Sight): Finding[] {
  if (vm.current.confidence !== 'known') return [];
  const current = vm.current.id === null ? null : (vm.snapshots.get(vm.current.id) ?? null);
  return disks.flatMap((seen) => {
    const words = seen.readOnly || isClosed(seen) ? null : whyNot(vm, current, seen);
    if (words === null) return [];
    const { device, file } = seen;
    const message = `disk "${device}" is ${file} on ${seen.backing}, ${words}`;
    const about = { ...(current && { snapshotId: current.id }), device, file };
    return { kind: 'wrong-current' as const, ...about, message, evidence: [] };
  });
}

/** Null: it may well be what the ledger says. */
function whyNot(
  vm: Readonly<Vm>,
  current: Snapshot | null,
  { device, file, backing }: SeenDisk,
): string | null {
  if (backing === null || (vm.layers.get(file)?.backing ?? null) !== null) return null;
  const chain = chainUnder(vm, backing).map((layer) => layer.file);
  const isOnPresent = vm.disks.some((disk) => disk.device === device && chain.includes(disk.file));
  if (chain.length === 0 || isOnPresent) return null; // Of what lies below nothing is known, or it is as it should be.
  if (!current) return wordsFor(otherOn(vm, null, device, chain), 'and it should stand on no snapshot');
  const own = current.disks.find((disk) => disk.device === device && disk.mode !== 'none');
  if (own?.file === undefined) return null; // It holds nothing of this disk.
  const left = `and not what "${current.name}" left there`;
  const at = chain.indexOf(own.file);
  if (at === -1) return left;
  // What was frozen later than the tag in it holds more than the tag.
  const above = chain.slice(0, own.mode === 'internal' ? at + 1 : at);
  return wordsFor(otherOn(vm, current, device, above), left);
}

const wordsFor = (other: Snapshot | undefined, left: string): string | null =>
  other ? `which holds "${other.name}", ${left}` : null;

/** A snapshot that these layers were left to for good: whatever stands on them goes on from there. */
const otherOn = (
  { snapshots }: Readonly<Vm>,
  current: Snapshot | null,
  device: string,
  layers: readonly string[],
): Snapshot | undefined =>
  [...snapshots.values()].find(
    (snapshot) =>
      snapshot !== current &&
      snapshot.disks.some(
        (disk) => disk.device === device && disk.mode === 'external' && layers.includes(disk.file ?? ''),
      ),
  );
