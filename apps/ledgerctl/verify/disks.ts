import { inspectImages, type Inspected, NotNow } from '#hypervisor';
import { type DriftKind, type Finding, Refusal, type Vm } from '#ledger';
import type { World } from '#world';
import type { Invariant } from './breach.ts';
import type { Audited } from './log.ts';
import type { Report } from './report.ts';

/** What is wrong when this is found. Null: nothing of ours is; drift tells of it. */
const BROKEN_BY: Readonly<Record<DriftKind, Invariant | null>> = {
  missing: 'I1',
  partial: 'I1',
  duplicate: 'I1',
  renamed: 'I1',
  orphan: 'I2',
  'wrong-chain': 'I18',
  'wrong-current': 'I18',
  foreign: null,
  'config-changed': null,
};

const OF_DISKS: readonly Invariant[] = ['I1', 'I2', 'I14', 'I18'];

export interface DisksAudit {
  readonly world: World;
  readonly report: Report;
  readonly audited: Audited;
  readonly onProgress: (words: string | null) => Promise<void>;
}

/** Holds the images of every registered VM against what the log says of them. Reads, and changes nothing. */
export async function checkDisks({ world, report, audited, onProgress }: DisksAudit): Promise<void> {
  if (!audited.isWhole) return report.skipped(OF_DISKS, 'the log is damaged');
  const vms = [...audited.vms.values()].filter(({ life }) => life === 'registered');
  let [looked, inUse] = [0, 0];
  for (const [index, vm] of vms.entries()) {
    const show = (file: string): Promise<void> => onProgress(`VM ${index + 1} of ${vms.length}: ${file}`);
    const found = await inspected(world, vm, report, show);
    if (!found) continue;
    looked += 1;
    for (const finding of found.findings) tellFinding(report, vm, finding);
    inUse += tellHealth(report, vm, found);
  }
  const howMuch = `disks of ${looked} VMs`;
  report.looked(OF_DISKS, howMuch);
  if (inUse > 0) report.skipped(['I14'], `${inUse} images that are in use`);
}

/** Null when it cannot be told now, or at all; the report says why. */
async function inspected(
  world: World,
  vm: Readonly<Vm>,
  report: Report,
  show: (file: string) => Promise<void>,
): Promise<Inspected | null> {
  if (vm.operation) {
    report.skipped(OF_DISKS, `VM "${vm.name}" (${vm.id}): an operation is under way`);
    return null;
  }
  try {
    return await inspectImages(world, vm, show);
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof NotNow)) throw error;
    report.skipped(OF_DISKS, `VM "${vm.name}" (${vm.id}): ${error.message}`);
    return null;
  }
}

function tellFinding(report: Report, vm: Readonly<Vm>, { kind, snapshotId, message }: Finding): void {
  const invariant = BROKEN_BY[kind];
  const status = vm.snapshots.get(snapshotId ?? '')?.status;
  const isTold = status === 'lost' || status === 'suspect'; // The log promises nothing of it any more.
  if (invariant && !isTold) report.breach({ invariant, words: `VM "${vm.name}" (${vm.id}): ${message}` });
}

/** How many images were in use. */
function tellHealth(report: Report, vm: Readonly<Vm>, { images }: Inspected): number {
  let inUse = 0;
  for (const [file, health] of images) {
    if (health.kind === 'locked') inUse += 1;
    if (health.kind !== 'damaged') continue;
    report.breach({ invariant: 'I14', words: `VM "${vm.name}" (${vm.id}): ${file}: ${health.words}` });
  }
  return inUse;
}
