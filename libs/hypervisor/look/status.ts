import { Refusal, type Vm, wrongChainIn } from '#ledger';
import { FREE_BYTES_MIN } from '../bounds.ts';
import { ledgerDisks } from './known-disks.ts';
import type { Place } from '../place.ts';
import { requireAtRest, requireWhole } from './run-states.ts';
import { canHoldTags, type SeenDisk, type Sight } from './sight.ts';
import { wrongChains } from '../drift/wrong-chain.ts';

/** Whether a snapshot could be taken now. */
export interface Status {
  readonly snapshottable: boolean;
  /** Why not, in words. */
  readonly reasons: string[];
  readonly disks: { readonly device: string; readonly snapshottable: boolean; readonly reason?: string }[];
  /** Whether the machine was started from a wrong layer: whoever works on it should see that at once. */
  readonly isOnWrongChain: boolean;
}

/** What stands against a snapshot that says nothing about its disks: each is captured by its default. */
export async function statusOf(place: Place, vm: Readonly<Vm>, sight: Sight): Promise<Status> {
  const disks = await Promise.all(sight.disks.map((disk) => diskStatus(place, disk)));
  const wrong = vm.operation ? [] : wrongChains(vm, sight);
  const chainReasons = wrong.length > 0 ? wrong.map(({ message }) => message) : recordedWrongChain(vm);
  const reasons = [...ledgerReasons(vm), ...chainReasons, ...machineReasons(sight)];
  const defaults = ledgerDisks(sight, vm.disks).filter(({ readOnly }) => !readOnly);
  for (const { device, default: mode } of defaults) {
    const found = disks.find((disk) => disk.device === device);
    if (mode !== 'none' && found?.reason !== undefined) reasons.push(`disk "${device}": ${found.reason}`);
  }
  if (defaults.every(({ default: mode }) => mode === 'none')) reasons.push('no disk is captured by default');
  return { snapshottable: reasons.length === 0, reasons, disks, isOnWrongChain: wrong.length > 0 };
}

async function diskStatus({ world }: Place, disk: SeenDisk): Promise<Status['disks'][number]> {
  const { device } = disk;
  const reason = whyNot(disk) ?? (await whyNoSpace(world.files, disk));
  return reason === null ? { device, snapshottable: true } : { device, snapshottable: false, reason };
}

function whyNot(disk: SeenDisk): string | null {
  if (disk.readOnly) return 'it is read-only';
  if (canHoldTags(disk)) return null;
  return disk.format === 'qcow2'
    ? `${disk.file} is no local file`
    : `${disk.format} cannot hold snapshots: say "external" or "none" for it`;
}

async function whyNoSpace(files: Place['world']['files'], { file }: SeenDisk): Promise<string | null> {
  const freeBytes = await files.freeBytes(file);
  return freeBytes < FREE_BYTES_MIN ? `only ${freeBytes} bytes are free where it lies` : null;
}

function ledgerReasons({ hold, operation }: Readonly<Vm>): string[] {
  return [
    ...(hold ? [`the VM is held: ${hold.message}`] : []),
    ...(operation ? [`a ${operation.kind} is under way`] : []),
  ];
}

/** The ledger refuses until a look has been recorded, also when the machine is off by now or stands right again. */
function recordedWrongChain(vm: Readonly<Vm>): string[] {
  const recorded = wrongChainIn(vm);
  return recorded ? [`the VM is held until it is reconciled: ${recorded.message}`] : [];
}

function machineReasons(sight: Sight): string[] {
  try {
    requireAtRest(sight);
    requireWhole(sight);
    return [];
  } catch (error) {
    if (error instanceof Refusal) return [error.message];
    throw error;
  }
}
