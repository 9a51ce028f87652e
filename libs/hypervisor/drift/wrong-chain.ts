import { chainUnder, type Disk, type Finding, Refusal, type Snapshot, type Vm } from '#ledger';
import { isClosed } from '../load/closed-disk.ts';
import { isLocalFile, type SeenDisk, type Sight } from '../look/sight.ts';

/* A machine that somebody has started from an older layer writes on what snapshots hold, and on what others stand on. */

/**
 * Where a machine that is on stands on another layer than the ledger says. A file that the ledger does not know is
 * another disk, and no wrong chain. Only of a machine that nobody works on: whoever does moves it from layer to layer.
 */
export function wrongChains(vm: Readonly<Vm>, { power, disks }: Sight): Finding[] {
  if (power === 'off') return [];
  return disks.flatMap((seen) => {
    const message = seen.readOnly || isClosed(seen) ? null : whyWrong(vm, seen);
    if (message === null) return [];
    const { device, file } = seen;
    return { kind: 'wrong-chain' as const, device, file, message, evidence: [] };
  });
}

/**
 * Nothing is done to a machine on a wrong layer: it must be started anew.
 *
 * @throws {Refusal} `vm-held`
 */
export function requireRightChain(vm: Readonly<Vm>, sight: Sight): void {
  const [wrong] = wrongChains(vm, sight);
  if (wrong) throw new Refusal('vm-held', wrong.message);
}

/** The sentence for people that tells where the machine stands; null where it should. */
function whyWrong(vm: Readonly<Vm>, { device, file, backing }: SeenDisk): string | null {
  const layer = vm.layers.get(file);
  if (!layer) return null;
  const advice = `power it off and start it as "ledgerctl vm launch ${vm.name}" says`;
  if (!vm.disks.some((disk) => disk.file === file)) {
    const right = rightDisk(vm, { device, file })?.file ?? 'another file';
    return `disk "${device}" was started from ${file}, a layer under ${right}: ${advice}`;
  }
  const isElsewhere = layer.backing !== null && backing !== null && isLocalFile(backing);
  if (!isElsewhere || backing === layer.backing) return null;
  return `disk "${device}" is ${file} on ${backing}, and should be on ${layer.backing}: ${advice}`;
}

/** The disk whose chain the file is in, best the one of that name. */
const rightDisk = (vm: Readonly<Vm>, { device, file }: Pick<Disk, 'device' | 'file'>): Disk | undefined =>
  vm.disks.find((disk) => disk.device === device) ??
  vm.disks.find((disk) => chainUnder(vm, disk.file).some((layer) => layer.file === file));

/**
 * The snapshots that a guest has written into, or into what they read from below them. Nothing on disk tells how much,
 * so they stay suspect until somebody has looked and releases the VM.
 */
export function spoiled(vm: Readonly<Vm>, { runState }: Sight, wrong: readonly Finding[]): Finding[] {
  const fresh = spoiledNow(vm, { runState }, wrong);
  const listed = vm.drift.filter(
    ({ kind, snapshotId }) =>
      kind === 'wrong-chain' && snapshotId !== undefined && vm.snapshots.has(snapshotId),
  );
  const unlisted = [...vm.snapshots.values()].filter(
    (snapshot) => snapshot.spoiled && !listed.some(({ snapshotId }) => snapshotId === snapshot.id),
  );
  const earlier = [...listed, ...unlisted.map((snapshot) => spoiledBy('a layer', snapshot))];
  const isNew = (one: Finding): boolean =>
    !earlier.some(({ snapshotId, file }) => snapshotId === one.snapshotId && file === one.file);
  return [...earlier, ...fresh.filter(isNew)];
}

const spoiledNow = (
  vm: Readonly<Vm>,
  { runState }: Pick<Sight, 'runState'>,
  wrong: readonly Finding[],
): Finding[] =>
  NEVER_RAN.has(runState ?? '') ? [] : wrong.flatMap((finding) => spoiledByGuest(vm, finding));

/** What this look alone tells: where the machine stands on a wrong chain, and what its guest has written into there. */
export function astrayIn(vm: Readonly<Vm>, sight: Sight): Finding[] {
  const wrong = wrongChains(vm, sight);
  return [...wrong, ...spoiledNow(vm, sight, wrong)];
}

/** The guest has not been let go yet. */
const NEVER_RAN: ReadonlySet<string> = new Set(['prelaunch', 'inmigrate']);

function spoiledByGuest(vm: Readonly<Vm>, { device, file = '' }: Finding): Finding[] {
  return [...vm.snapshots.values()]
    .filter((snapshot) => readsFrom(vm, snapshot, file))
    .map((snapshot) => ({
      ...spoiledBy(file, snapshot),
      ...(device !== undefined && { device }),
      file,
    }));
}

const spoiledBy = (written: string, { id: snapshotId, name }: Snapshot): Finding => ({
  ...{ kind: 'wrong-chain', snapshotId },
  message: `the guest ran on ${written}, which "${name}" is read from: its content may have changed`,
  evidence: [],
});

/** What is inside the file itself is safe there: qcow2 copies before it writes. */
const readsFrom = (vm: Readonly<Vm>, { disks }: Snapshot, written: string): boolean =>
  disks.some(({ mode, file = '' }) => {
    const chain = chainUnder(vm, file).map((layer) => layer.file);
    return (mode === 'internal' ? chain.slice(1) : mode === 'external' ? chain : []).includes(written);
  });
