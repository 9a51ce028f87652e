import type { Book } from './book.ts';
import type { Aimed } from './faults.ts';
import { isWhole } from './known.ts';
import type { ScriptedCommand } from './script.ts';
import type { CreateWish } from './wish.ts';

/*
 * Ways that lead straight to what a caller who asks for anything hardly ever comes to: a world in which somebody goes one
 * of them has faults there as often as others have them at every corner.
 */

export interface Journey extends Aimed {
  /** Whether the machine is on when it begins. */
  readonly isOn: boolean;
  readonly commands: readonly ScriptedCommand[];
  /** Whether the last is canceled as soon as it is under way. */
  readonly isGivenUp?: boolean;
}

export const create =
  (mode: 'internal' | 'external', asked: Omit<CreateWish, 'what' | 'disks'>): ScriptedCommand =>
  ({ devices }) => ({ what: 'create', disks: devices.map((device) => ({ device, mode })), ...asked });

export const oldest = ({ snapshots }: Book): string | undefined =>
  [...snapshots].find(([, known]) => isWhole(known))?.[0];
export const newest = ({ snapshots }: Book): string | undefined =>
  [...snapshots].findLast(([, known]) => isWhole(known))?.[0];

type Which = (book: Book) => string | undefined;

export const load =
  (which: Which, safety: 'none' | 'disks' | 'memory', disksOnly = false): ScriptedCommand =>
  (book) => {
    const snapshotId = which(book);
    if (snapshotId === undefined) return null;
    return {
      ...{ what: 'load', snapshotId, resume: disksOnly ? 'running' : 'as-captured', safety },
      ...(disksOnly && { disksOnly }),
    };
  };

export const remove =
  (which: Which, strategy: 'merge' | 'discard-force'): ScriptedCommand =>
  (book) => {
    const snapshotId = which(book);
    return snapshotId === undefined ? null : { what: 'delete', snapshotId, strategy };
  };

const inside = create('internal', { diskOnly: true });
const outside = create('external', { diskOnly: true });
const frozen = create('external', { diskOnly: true, quiesce: 'require' });
const streamed = create('external', { memory: 'external', memoryFormat: 'stream' });
const withMemory: ScriptedCommand = () => ({ what: 'create', memory: 'internal' });
const copied: ScriptedCommand = ({ devices, vm, snapshots }) => ({
  what: 'create',
  diskOnly: true,
  backups: devices.map((device) => ({
    ...{ device, target: `${vm.directory}/copy-${snapshots.size}-${device}.qcow2`, format: 'qcow2' },
    ...{ sync: 'full', fileMode: 'absolute-paths' },
  })),
});

const LAUNCHED = ['run.LAUNCHER', 'hypervisor.launch', 'streams.measure', 'streams.send'];
const STREAMED = [
  'say.migrate',
  'say.migrate-set-parameters',
  'streams.receive',
  'files.makePrivateDirectory',
];
const FROZEN = [
  'say.guest-fsfreeze-freeze',
  'say.guest-fsfreeze-thaw',
  'hypervisor.freeze',
  'hypervisor.thaw',
];
const PULLED = ['say.block-stream', 'say.job-finalize', 'hypervisor.unlink'];
const COPIED = ['run.cp', 'run.sync', 'hypervisor.copy'];
const REMOVED = ['say.blockdev-snapshot-delete-internal-sync', 'say.job-dismiss', 'hypervisor.dismiss'];
const RESET = ['say.system_reset', 'say.blockdev-add', 'say.qom-set', 'say.stop'];
const LOADED = ['say.snapshot-load', 'say.snapshot-load', 'say.cont', 'hypervisor.power'];
const PUSHED = [
  'say.block-commit',
  'say.job-complete',
  'say.job-cancel',
  'hypervisor.pivot',
  'hypervisor.dismiss',
];

const canceled: Omit<Journey, 'isOn' | 'commands'> = {
  aims: ['say.migrate_cancel'],
  faults: ['reply-lost-in-migration'],
};

export const JOURNEYS: readonly Journey[] = [
  { isOn: true, commands: [streamed, load(newest, 'none')], aims: LAUNCHED },
  { isOn: true, commands: [streamed, load(newest, 'none')], aims: ['run.LAUNCHER'] },
  { isOn: true, commands: [streamed, load(newest, 'none')], aims: ['streams.send', 'streams.measure'] },
  { isOn: true, commands: [streamed], aims: STREAMED },
  { isOn: true, commands: [streamed], ...canceled },
  { isOn: true, commands: [streamed], ...canceled },
  { isOn: true, commands: [streamed], ...canceled },
  { isOn: true, commands: [outside, outside, remove(newest, 'merge')], aims: PULLED },
  { isOn: true, commands: [inside, remove(newest, 'discard-force')], aims: REMOVED },
  { isOn: true, commands: [outside, outside, remove(oldest, 'merge')], aims: PUSHED },
  { isOn: true, commands: [outside, remove(oldest, 'merge')], aims: PUSHED },
  { isOn: true, commands: [outside, remove(oldest, 'merge')], aims: ['say.job-complete'] },
  { isOn: false, commands: [outside, outside, remove(newest, 'merge')], aims: ['run.qemu-img-rebase'] },
  { isOn: false, commands: [copied], aims: ['run.qemu-img-convert'] },
  { isOn: true, commands: [copied], aims: ['files.syncFile', 'say.job-cancel'], isGivenUp: true },
  { isOn: true, commands: [frozen], aims: FROZEN },
  { isOn: true, commands: [frozen], aims: ['say.guest-fsfreeze-freeze'] },
  { isOn: true, commands: [withMemory, load(oldest, 'none')], aims: LOADED },
  {
    isOn: true,
    commands: [inside, load(oldest, 'none', true)],
    aims: RESET,
  },
  { isOn: true, commands: [inside, outside, load(oldest, 'none', true)], aims: COPIED },
];
