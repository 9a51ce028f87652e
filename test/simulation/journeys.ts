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
  /** Whether its owner switches it off before the last command. */
  readonly isOffAtLast?: boolean;
  readonly commands: readonly ScriptedCommand[];
  /** Whether ledgerd can start the machine itself, as it can unless told. */
  readonly hasLauncher?: boolean;
  /** Whether the last is canceled as soon as it is under way. */
  readonly isGivenUp?: boolean;
}

export const create =
  (mode: 'internal' | 'external', asked: Omit<CreateWish, 'what' | 'disks'>): ScriptedCommand =>
  ({ devices }) => ({ what: 'create', disks: devices.map((device) => ({ device, mode })), ...asked });

export const oldest = ({ snapshots }: Book): string | undefined =>
  [...snapshots].find(([, known]) => isWhole(known))?.[0];
export const second = ({ snapshots }: Book): string | undefined =>
  [...snapshots].filter(([, known]) => isWhole(known))[1]?.[0];
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

const streamedAndLoaded = [streamed, load(newest, 'none')];
const merged = [outside, remove(oldest, 'merge')];

/** So many of each: those that hardly ever come to what they aim at are more. */
const WAYS: readonly (readonly [number, Journey])[] = [
  [3, { isOn: true, commands: streamedAndLoaded, aims: ['streams.send'] }],
  [3, { isOn: true, commands: streamedAndLoaded, aims: ['hypervisor.launch', 'streams.measure'] }],
  [2, { isOn: true, commands: streamedAndLoaded, aims: ['run.LAUNCHER'] }],
  [2, { isOn: true, commands: [streamed], aims: ['say.migrate'] }],
  [2, { isOn: true, commands: [streamed], aims: ['say.migrate-set-parameters', 'streams.receive'] }],
  [1, { isOn: true, commands: [streamed], aims: ['files.makePrivateDirectory'] }],
  [
    9,
    {
      ...{ isOn: true, commands: [streamed], aims: ['say.migrate_cancel'] },
      faults: ['reply-lost-in-migration', 'migration-slow'],
    },
  ],
  [2, { isOn: true, commands: [outside, ...merged], aims: ['say.block-commit', 'hypervisor.pivot'] }],
  [3, { isOn: true, commands: merged, aims: ['say.job-complete', 'say.job-cancel', 'hypervisor.dismiss'] }],
  [1, { isOn: true, commands: [outside, outside, remove(newest, 'merge')], aims: ['say.block-stream'] }],
  [
    2,
    {
      ...{ isOn: true, commands: [outside, outside, remove(newest, 'merge')] },
      aims: ['say.job-finalize', 'hypervisor.unlink', 'run.qemu-img-compare'],
    },
  ],
  [1, { isOn: false, commands: [outside, outside, remove(newest, 'merge')], aims: ['run.qemu-img-rebase'] }],
  [1, { isOn: false, commands: [copied], aims: ['run.qemu-img-convert'] }],
  [3, { isOn: true, commands: [copied], aims: ['say.job-cancel'], isGivenUp: true }],
  [3, { isOn: true, commands: [copied], aims: ['hypervisor.copy'] }],
  [4, { isOn: true, commands: [frozen], aims: ['say.guest-fsfreeze-freeze', 'hypervisor.freeze'] }],
  [2, { isOn: true, commands: [frozen], aims: ['say.guest-fsfreeze-thaw', 'hypervisor.thaw'] }],
  [
    3,
    {
      ...{ isOn: true, commands: [withMemory, load(oldest, 'none')], aims: ['say.snapshot-load'] },
      faults: ['load-killed'],
    },
  ],
  [3, { isOn: true, commands: [withMemory, load(oldest, 'none')], aims: ['say.cont', 'hypervisor.power'] }],
  [3, { isOn: true, commands: [inside, load(oldest, 'none', true)], aims: ['say.system_reset'] }],
  [
    2,
    {
      ...{ isOn: true, commands: [inside, load(oldest, 'none', true)] },
      aims: ['say.blockdev-add', 'say.qom-set', 'say.stop'],
    },
  ],
  [4, { isOn: true, commands: [withMemory], aims: ['say.job-dismiss'] }],
  [
    1,
    {
      ...{ isOn: true, commands: [inside, remove(newest, 'discard-force')] },
      aims: ['say.blockdev-snapshot-delete-internal-sync'],
    },
  ],
  [
    2,
    {
      ...{ isOn: true, commands: [inside, outside, load(oldest, 'none', true)] },
      aims: ['run.cp', 'run.sync'],
    },
  ],
];

export const JOURNEYS: readonly Journey[] = WAYS.flatMap(([times, journey]) =>
  Array<Journey>(times).fill(journey),
);
