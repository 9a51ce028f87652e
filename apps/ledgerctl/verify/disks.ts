import { type Heads, openHeads } from '#event-store';
import { inspectImages, type Inspected, NotNow } from '#hypervisor';
import { type DriftKind, type Finding, Refusal, type Vm } from '#ledger';
import { FileTrouble, type World } from '#world';
import type { Breach, Invariant } from './breach.ts';
import type { Audited, AuditedVm } from './log.ts';
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

/** What says that we may not look: nothing follows from it. */
const DENIED: ReadonlySet<string> = new Set(['EACCES', 'EPERM']);

export interface DisksAudit {
  readonly world: World;
  readonly report: Report;
  readonly audited: Audited;
  /** The log that was audited. */
  readonly file: string;
  /** Only of its VMs the disks are here. */
  readonly host: string;
  readonly onProgress: (words: string | null) => Promise<void>;
}

/** What was found of one VM. */
interface Looked {
  readonly breaches: readonly Breach[];
  readonly inUse: number;
}

/**
 * Holds the images of every registered VM of a host against what the log says of them. Reads, and changes nothing. Where
 * the log has gone on meanwhile, what was found means nothing and is not told.
 */
export async function checkDisks(audit: DisksAudit): Promise<void> {
  const { report, audited, file, host } = audit;
  if (!audited.isWhole) return report.skipped(OF_DISKS, 'the log is damaged');
  const registered = audited.vms.filter(({ vm }) => vm.life === 'registered');
  const vms = registered.filter(({ vm }) => vm.host === host);
  const elsewhere = new Set(registered.flatMap(({ vm }) => (vm.host === host ? [] : [vm.host])));
  for (const other of elsewhere)
    report.skipped(OF_DISKS, `VMs of host "${other}": this is "${host}", unless --host says otherwise`);
  const heads = openHeads(file);
  const { looked, inUse } = await checkEach(audit, vms, heads).finally(() => heads.close());
  if (looked > 0 || registered.length === 0) report.looked(OF_DISKS, `disks of ${looked} VMs`);
  if (inUse > 0) report.skipped(['I14'], `${inUse} images that are in use`);
}

/** How many VMs could be looked at, and how many of their images were in use. */
async function checkEach(
  { world, report, onProgress }: DisksAudit,
  vms: readonly AuditedVm[],
  heads: Heads,
): Promise<{ looked: number; inUse: number }> {
  let [looked, inUse] = [0, 0];
  for (const [index, one] of vms.entries()) {
    const show = (image: string): Promise<void> => onProgress(`VM ${index + 1} of ${vms.length}: ${image}`);
    const seen = whyNot(one.vm) ?? (await lookedAt(world, one.vm, show));
    const isLate = heads.versionOf(one.stream) !== one.version;
    const found = isLate ? 'it was worked on meanwhile: ask again' : seen;
    if (typeof found === 'string') {
      report.skipped(OF_DISKS, `${wordsFor(one)}: ${found}`);
      continue;
    }
    looked += 1;
    inUse += found.inUse;
    tell(report, one, found.breaches);
  }
  return { looked, inUse };
}

/** Of one that is held the log has said that not all is as it should be, and somebody is asked to look. */
function tell(report: Report, one: AuditedVm, breaches: readonly Breach[]): void {
  for (const { invariant, words } of breaches) {
    const said = `${wordsFor(one)}: ${words}`;
    if (one.vm.hold) report.skipped([invariant], `held: ${said}`);
    else report.breach({ invariant, words: said });
  }
}

const wordsFor = ({ vm: { name, id } }: AuditedVm): string => `VM "${name}" (${id})`;

/** Why nothing can be said of its disks. Null: something can. */
const whyNot = ({ operation }: Readonly<Vm>): string | null =>
  operation ? 'an operation is under way' : null;

/** In words: why it cannot be told now, or at all. */
async function lookedAt(
  world: World,
  vm: Readonly<Vm>,
  show: (file: string) => Promise<void>,
): Promise<Looked | string> {
  try {
    const found = await inspectImages(world, vm, show);
    const breaches = [...found.findings.flatMap((one) => breachOf(vm, one) ?? []), ...damaged(found)];
    return { breaches, inUse: [...found.images.values()].filter(({ kind }) => kind === 'locked').length };
  } catch (error) {
    if (error instanceof NotNow) return error.message;
    const isDenied = error instanceof FileTrouble && DENIED.has(error.code);
    if (isDenied) return error.message;
    if (!(error instanceof Refusal || error instanceof FileTrouble)) throw error;
    return { breaches: [{ invariant: 'I14', words: error.message }], inUse: 0 }; // It cannot be read at all.
  }
}

function breachOf(vm: Readonly<Vm>, { kind, snapshotId, file, message }: Finding): Breach | null {
  const status = vm.snapshots.get(snapshotId ?? '')?.status;
  if (status === 'lost' || status === 'suspect') return null; // The log promises nothing of it any more.
  // A disk that the log names a file of stands on nothing when that is gone; one that was taken out stands nowhere.
  const invariant = kind === 'config-changed' && file !== undefined ? 'I18' : BROKEN_BY[kind];
  return invariant && { invariant, words: message };
}

const damaged = ({ images }: Inspected): Breach[] =>
  [...images].flatMap(([file, health]) =>
    health.kind === 'damaged' ? [{ invariant: 'I14', words: `${file}: ${health.words}` }] : [],
  );
