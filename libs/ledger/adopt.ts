import type { CommandOf } from './commands.ts';
import { driftWithout } from './drift.ts';
import type { DataOf, VmEvent } from './events.ts';
import { madeUpName, whyNoName } from './names.ts';
import { Refusal } from './refusal.ts';
import { requireIdle, requireNotHeld } from './require.ts';
import type { DiskEvidence, Finding, SnapshotMemory } from './shapes.ts';
import { snapshotOfTag, type Vm } from './vm.ts';

/**
 * Foreign snapshots become snapshots, as the last look found them. They keep their tags: nothing can rename one
 * without deleting it. They come without a parent, because an image does not say what was there when they were taken,
 * and their dates do not say it either: clocks are set, and machines are loaded.
 *
 * @throws {Refusal} `snapshot-unknown` for a tag that no disk has, `snapshot-damaged` for one that is not exactly once
 *   on every disk, `plan-changed` when a later look has found more of them than ids were brought along
 */
export function adoptSnapshots({ names, ids }: CommandOf<'AdoptSnapshots'>, vm: Vm): VmEvent[] {
  requireNotHeld(vm);
  requireIdle(vm);
  const wanted = wantedOf(names, vm).toSorted((one, other) => dateOf(one) - dateOf(other));
  if (wanted.length === 0) return [];
  if (ids.length < wanted.length)
    throw new Refusal('plan-changed', 'more was found meanwhile than was to be adopted: ask again');
  const events = wanted.map((finding, at) => adopted(finding, ids[at] ?? '', vm));
  return [...events, ...driftWithout(vm, (finding) => wanted.includes(finding))];
}

function wantedOf(names: readonly string[] | undefined, vm: Vm): Finding[] {
  const foreign = vm.drift.filter(({ kind }) => kind === 'foreign');
  if (!names) return foreign.filter((finding) => missesOn(finding, vm).length === 0);
  return [...new Set(names)].map((name) => requireAdoptable(name, foreign, vm));
}

function requireAdoptable(name: string, foreign: readonly Finding[], vm: Vm): Finding {
  const finding = foreign.find(({ tag }) => tag === name);
  if (!finding) {
    const twice = vm.drift.find(({ kind, tag }) => kind === 'duplicate' && tag === name);
    if (twice) throw new Refusal('snapshot-damaged', `"${name}" cannot be adopted: ${twice.message}`);
    throw new Refusal('snapshot-unknown', `no disk holds a foreign snapshot "${name}"`);
  }
  const devices = missesOn(finding, vm);
  if (devices.length === 0) return finding;
  const where = devices.join(', ');
  throw new Refusal('snapshot-damaged', `"${name}" cannot be adopted: it is not on ${where}`, { devices });
}

/** The disks that could hold it and do not. What is not on all of them cannot be loaded on all of them. */
const missesOn = ({ evidence }: Finding, { disks }: Vm): string[] =>
  disks
    .filter(({ readOnly, format, file }) => !readOnly && format === 'qcow2' && file.startsWith('/'))
    .filter(({ device }) => evidence.filter((trace) => trace.device === device).length !== 1)
    .map(({ device }) => device);

const dateOf = ({ evidence }: Finding): number => evidence[0]?.date ?? 0;

function adopted({ tag = '', evidence }: Finding, freshId: string, vm: Vm): VmEvent {
  const snapshotId = snapshotOfTag(tag) ?? freshId; // One of an earlier life of the machine is still itself.
  const isFree = ![...vm.snapshots.values()].some(({ name }) => name === tag);
  const nameGiven = isFree && whyNoName(tag) === null;
  const memory = memoryIn(evidence);
  return {
    type: 'SnapshotAdopted',
    data: {
      ...{ snapshotId, name: nameGiven ? tag : madeUpName(snapshotId), nameGiven, tag, parentId: null },
      disks: evidence.map(({ device }) => ({ device, mode: 'internal' })),
      ...{ memory, ...howItWas(memory, evidence), evidence },
    },
  };
}

function memoryIn(evidence: readonly DiskEvidence[]): SnapshotMemory {
  const holder = evidence.find(({ vmStateSizeBytes }) => vmStateSizeBytes > 0);
  if (!holder) return { mode: 'none' };
  return { mode: 'internal', device: holder.device, sizeBytes: holder.vmStateSizeBytes };
}

/** qemu-img leaves the machine's clock at nought: who took it then, took it of a machine that was off. */
function howItWas(
  { mode }: SnapshotMemory,
  evidence: readonly DiskEvidence[],
): Pick<DataOf<'SnapshotAdopted'>, 'vmState' | 'consistency'> {
  if (mode !== 'none') return { vmState: 'running', consistency: 'memory' };
  const wasOn = evidence.some(({ vmClockNs }) => vmClockNs > 0);
  return wasOn
    ? { vmState: 'running', consistency: 'crash' }
    : { vmState: 'shutoff', consistency: 'offline' };
}
