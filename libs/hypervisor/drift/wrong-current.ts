import { chainUnder, type Finding, type Snapshot, type SnapshotDisk, type Vm } from '#ledger';
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
  const own = current?.disks.find((disk) => disk.device === device && disk.mode !== 'none');
  if (current && own?.file === undefined) return null; // It holds nothing of this disk.
  const left = current ? `and not what "${current.name}" left there` : 'and it should stand on no snapshot';
  if (own?.file !== undefined && !chain.includes(own.file)) return left;
  const other = [...vm.snapshots.values()].find((snapshot) => {
    const frozen = above(chain, own).find((layer) => froze(snapshot, device, layer));
    return snapshot !== current && frozen !== undefined;
  });
  return other ? `which holds "${other.name}", ${left}` : null;
}

/** The layers on which nobody can stand who goes on from what a snapshot left: all that is above it. */
function above(chain: readonly string[], own: SnapshotDisk | undefined): readonly string[] {
  const at = own?.file === undefined ? -1 : chain.indexOf(own.file);
  if (at === -1) return chain;
  return chain.slice(0, own?.mode === 'internal' ? at + 1 : at); // What was frozen later holds more than the tag in it.
}

/** Whether the file was left to it for good: whatever stands on it goes on from there. */
const froze = ({ disks }: Snapshot, device: string, file: string): boolean =>
  disks.some((disk) => disk.device === device && disk.mode === 'external' && disk.file === file);
