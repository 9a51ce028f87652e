import { bootSubject, type Subject } from '../crash/machine.ts';
import { makeDirectory } from '../qemu/rig.ts';

/** How a snapshot is kept: inside the images, there with the memory too, or by going on in new files. */
export type Kind = 'internal' | 'memory' | 'external';

/** What is asked of a taker. */
export type Verb = 'create' | 'load' | 'remove';

export const VERBS: readonly Verb[] = ['create', 'load', 'remove'];

/** Whoever takes, loads and deletes snapshots of one kind, of a running machine of its own. */
export interface Taker {
  /** What it can do. */
  readonly verbs: readonly Verb[];
  /** Gives back what it knows the snapshot by. */
  create(): Promise<string>;
  /** The machine runs on. */
  load(snapshot: string): Promise<void>;
  /** Every other snapshot and the machine keep their content. */
  remove(snapshot: string): Promise<void>;
  /** Ends the machine. */
  end(): Promise<void>;
}

/** Of every machine, in MiB. */
export const MEMORY_MB = 64;

/** Disks of every machine. */
export const DISKS = 2;

/** A machine as everybody's, for whoever does not start it by other means. */
export const bootTaken = (): Promise<Subject> => bootSubject(DISKS, makeDirectory(), { memoryMb: MEMORY_MB });
