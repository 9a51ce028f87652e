import type { Backup, CaptureMode, DiskCapture, MemoryFormat, Quiesced, Resume, Strategy } from '#ledger';
import type { Book } from './book.ts';
import type { Chance } from './chance.ts';
import { isWhole, type Known } from './known.ts';

/** What somebody wants of one VM: the body of an HTTP request. */
export type Wish =
  | {
      readonly what: 'register';
      readonly name: string;
      readonly monitor: string;
      readonly guestAgent: string | null;
      /** Given when the machine is off. */
      readonly disks?: { readonly device: string; readonly file: string; readonly format: string }[];
    }
  | Planned<CreateWish>
  | Planned<LoadWish>
  | Planned<{ readonly what: 'delete'; readonly snapshotId: string; readonly strategy: Strategy }>
  | Planned<{ readonly what: 'delete-all' }>
  | {
      readonly what: 'rename';
      readonly snapshotId: string;
      readonly name: string;
      readonly description: string;
    }
  | { readonly what: 'unretire'; readonly snapshotId: string }
  | { readonly what: 'cancel' }
  | { readonly what: 'reconcile' }
  | { readonly what: 'release' };

/** Whether a plan is made first, and then accepted. */
type Planned<T> = T & { readonly isPlanned?: boolean };

export interface CreateWish {
  readonly what: 'create';
  readonly name?: string;
  readonly memory?: CaptureMode;
  readonly memoryFormat?: MemoryFormat;
  readonly diskOnly?: boolean;
  readonly disks?: readonly DiskCapture[];
  readonly backups?: readonly Backup[];
  readonly quiesce?: Quiesced['asked'];
}

export interface LoadWish {
  readonly what: 'load';
  readonly snapshotId: string;
  readonly resume: Resume;
  readonly disksOnly?: boolean;
  /** What is saved of the present first. */
  readonly safety: 'none' | 'disks' | 'memory';
}

/** What somebody asks for most: what is seldom asked for by everybody is to go wrong often enough as well. */
export const TASTES = ['anything', 'anything', 'anything', 'layers', 'layers', 'streams'] as const;
export type Taste = (typeof TASTES)[number];
const TASTE_SHARE = 0.85;
/** Of those who meet a held machine, those who know what is good for it. */
const HELD_SHARE = 0.8;
/** Of the overlays, those that a caller has named. */
const NAMED_SHARE = 0.3;
const STRATEGIES = ['retire', 'merge', 'merge', 'merge-force', 'discard', 'discard-force'] as const;
const RESUMES = ['as-captured', 'running', 'paused'] as const;
const SAFETIES = ['none', 'disks', 'disks', 'memory'] as const;
const SYNCS = ['full', 'top', 'none'] as const;
const MODES = ['internal', 'external', 'external', 'none'] as const;

/** What a caller comes up with next. `serial` makes it unlike all others of the VM. */
export function nextWish(chance: Chance, book: Book, serial: string, taste: Taste): Wish {
  if (!book.hold || !chance.happens(HELD_SHARE)) return anyWish(chance, book, serial, taste);
  return book.snapshots.size > 0 && chance.happens(0.5) ? load(chance, book) : { what: 'release' };
}

function anyWish(chance: Chance, book: Book, serial: string, taste: Taste): Wish {
  const snapshotId = chance.pick([...book.snapshots.keys()]);
  const isPlanned = chance.happens(0.1) ? { isPlanned: true } : {};
  const roll = chance.next();
  if (snapshotId === undefined || roll < 0.42)
    return { ...create(chance, book, serial, taste), ...isPlanned };
  if (roll < 0.66) return { ...load(chance, book), ...isPlanned };
  if (roll < 0.88) return { what: 'delete', snapshotId, strategy: chance.pick(STRATEGIES), ...isPlanned };
  if (roll < 0.91) return { what: 'delete-all', ...isPlanned };
  if (roll < 0.95) return { what: 'reconcile' };
  if (roll < 0.98)
    return { what: 'rename', snapshotId, name: `renamed ${serial}`, description: `by ${serial}` };
  return { what: 'unretire', snapshotId };
}

/** Mostly one that can be loaded as the machine is: with memory when it is on, disks only when it is off. */
function load(chance: Chance, { vm, snapshots }: Book): LoadWish {
  const isOn = vm.machine !== null;
  const whole = [...snapshots].filter(([, known]) => isWhole(known));
  const fitting = whole.filter(([, { memory }]) => (memory !== null) === isOn || memory?.isStream === true);
  const [snapshotId = ''] =
    (chance.happens(0.6) ? chance.pick(fitting) : undefined) ?? chance.pick(whole) ?? [];
  const disksOnly = holdsDisks(snapshots.get(snapshotId)) && chance.happens(isOn ? 0.15 : 0.5);
  const safety = chance.pick(SAFETIES);
  return { what: 'load', snapshotId, resume: chance.pick(RESUMES), safety, ...(disksOnly && { disksOnly }) };
}

const holdsDisks = (known: Known | undefined): boolean =>
  known !== undefined && [...known.disks.values()].some(({ mode }) => mode !== 'none');

function create(chance: Chance, book: Book, serial: string, taste: Taste): CreateWish {
  const name = chance.happens(0.2) ? { name: `name ${serial}` } : {};
  const captured = chance.happens(TASTE_SHARE) ? liked(chance, book, taste) : capture(chance, book);
  const disks = captured.disks?.map((disk) => namedByCaller(chance, book, disk, serial));
  return { what: 'create', ...name, ...captured, ...(disks && { disks }), ...copies(chance, book, serial) };
}

/** Disks in every mix of modes, with memory of every kind or none. */
function capture(chance: Chance, { devices }: Book): Omit<CreateWish, 'what' | 'name' | 'backups'> {
  const roll = chance.next();
  if (roll < 0.2) return {};
  if (roll < 0.3) return { memory: 'internal' };
  const disks = roll < 0.5 ? [] : disksOf(chance, devices);
  const withMemory = chance.next();
  if (withMemory < 0.6) return { diskOnly: true, disks, ...quiesce(chance) };
  if (withMemory < 0.75) return { memory: 'internal', disks };
  if (withMemory < 0.9) return { memory: 'external', disks };
  return { memory: 'external', memoryFormat: 'stream', disks };
}

function disksOf(chance: Chance, devices: readonly string[]): DiskCapture[] {
  if (chance.happens(0.5)) return devices.map((device) => ({ device, mode: 'external' }));
  return devices.map((device) => ({ device, mode: chance.pick(MODES) }));
}

/** A layer more on every disk is what merges, loads and copies of layers need several of. */
function liked(chance: Chance, book: Book, taste: Taste): Omit<CreateWish, 'what' | 'name' | 'backups'> {
  if (taste === 'anything') return capture(chance, book);
  const disks = book.devices.map((device): DiskCapture => ({ device, mode: 'external' }));
  if (taste === 'streams') return { memory: 'external', memoryFormat: 'stream', disks };
  if (chance.happens(0.25)) return { diskOnly: true }; // Inside the newest layer.
  return chance.happens(0.8) ? { diskOnly: true, disks } : { memory: 'external', disks };
}

/** Some say where the machine is to go on. */
function namedByCaller(chance: Chance, { vm }: Book, disk: DiskCapture, serial: string): DiskCapture {
  if (disk.mode !== 'external' || !chance.happens(NAMED_SHARE)) return disk;
  return { ...disk, file: `${vm.directory}/overlay-${serial}-${disk.device}.qcow2` };
}

function quiesce(chance: Chance): Pick<CreateWish, 'quiesce'> {
  const roll = chance.next();
  if (roll < 0.6) return {};
  return { quiesce: roll < 0.85 ? 'try' : 'require' };
}

function copies(chance: Chance, { vm, devices }: Book, serial: string): Pick<CreateWish, 'backups'> {
  if (chance.happens(0.85)) return {};
  const copied = devices.filter(() => chance.happens(0.7));
  const backups = copied.map((device, at): Backup => ({
    ...{ device, target: `${vm.directory}/copy-${serial}-${at}.qcow2`, format: 'qcow2' },
    ...{ sync: chance.pick(SYNCS), fileMode: 'absolute-paths' },
  }));
  return backups.length > 0 ? { backups } : {};
}
