import type { CaptureMode, DiskCapture, Resume, Strategy } from '#ledger';
import type { Book } from './book.ts';
import type { Chance } from './chance.ts';

/** What somebody wants of one VM: the body of an HTTP request. */
export type Wish =
  | {
      readonly what: 'register';
      readonly name: string;
      readonly monitor: string;
      /** Given when the machine is off. */
      readonly disks?: { readonly device: string; readonly file: string; readonly format: string }[];
    }
  | {
      readonly what: 'create';
      readonly name?: string;
      readonly memory?: CaptureMode;
      readonly diskOnly?: boolean;
      readonly disks?: readonly DiskCapture[];
    }
  | {
      readonly what: 'load';
      readonly snapshotId: string;
      readonly resume: Resume;
      readonly disksOnly?: boolean;
    }
  | { readonly what: 'delete'; readonly snapshotId: string; readonly strategy: Strategy }
  | { readonly what: 'delete-all' }
  | { readonly what: 'rename'; readonly snapshotId: string; readonly name: string }
  | { readonly what: 'release' };

const STRATEGIES = ['retire', 'merge', 'merge-force', 'discard', 'discard-force'] as const;
const RESUMES = ['as-captured', 'running', 'paused'] as const;

/** What a caller comes up with next. `serial` makes it unlike all others. */
export function nextWish(chance: Chance, book: Book, serial: number): Wish {
  const snapshotId = chance.pick([...book.snapshots.keys()]);
  if (book.hold)
    return snapshotId !== undefined && chance.happens(0.5) ? load(chance, book) : { what: 'release' };
  const roll = chance.next();
  if (snapshotId === undefined || roll < 0.45) return create(chance, book, serial);
  if (roll < 0.7) return load(chance, book);
  if (roll < 0.92) return { what: 'delete', snapshotId, strategy: chance.pick(STRATEGIES) };
  if (roll < 0.95) return { what: 'delete-all' };
  return { what: 'rename', snapshotId, name: `renamed ${serial}` };
}

/** Mostly one that can be loaded as the machine is: with memory when it is on, disks only when it is off. */
function load(chance: Chance, { vm, snapshots }: Book): Wish {
  const isOn = vm.machine !== null;
  const all = [...snapshots.keys()];
  const fitting = all.filter((id) => snapshots.get(id)?.hasMemory === isOn);
  const snapshotId = (chance.happens(0.8) ? chance.pick(fitting) : undefined) ?? chance.pick(all) ?? '';
  const disksOnly = chance.happens(isOn ? 0.1 : 0.5) ? { disksOnly: true } : {};
  return { what: 'load', snapshotId, resume: chance.pick(RESUMES), ...disksOnly };
}

function create(chance: Chance, book: Book, serial: number): Wish {
  const roll = chance.next();
  const name = chance.happens(0.3) ? { name: `name ${serial}` } : {};
  if (roll < 0.3) return { what: 'create', diskOnly: true, ...name };
  if (roll < 0.4) return { what: 'create', memory: 'none', ...name };
  if (roll < 0.6) return { what: 'create', memory: 'internal', ...name };
  const [first] = book.devices;
  if (roll < 0.65 && first !== undefined)
    return { what: 'create', diskOnly: true, disks: [{ device: first, mode: 'none' }], ...name };
  return { what: 'create', ...name };
}
