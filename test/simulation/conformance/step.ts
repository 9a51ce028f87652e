import type { Fault } from '../faults.ts';

export type Message = Readonly<Record<string, unknown>>;

/** One thing done to a QEMU and its images. */
export type Step =
  | { readonly say: Message | string; readonly until?: Until }
  /** The guest writes a block of its first disk. */
  | { readonly write: { readonly block: number; readonly value: number } }
  /** What a file reads, block by block, whoever has it open. */
  | { readonly read: string }
  /** `qemu-img`, where DA, DB, NOPE and X1 to X4 stand for paths; the last ones for files that are not there at first. */
  | { readonly img: readonly string[] }
  /** SIGKILL. */
  | { readonly kill: true }
  | { readonly start: true }
  /** Another client connects beside the one that talks, and listens for a while. */
  | { readonly secondComes: true }
  /** The one that talks leaves; from now on the second one talks. */
  | { readonly firstLeaves: true };

/** How far a job must have come before anything else is done. */
export type Until = 'pending' | 'ready' | 'concluded' | 'null';

export interface Script {
  readonly steps: readonly Step[];
  /** What goes wrong: the model is told so at the n-th occasion (the first), the real one has it injected into disk db. */
  readonly trouble?: {
    readonly fault: Fault;
    readonly occasion?: number;
    readonly blkdebug: readonly string[];
  };
}

/** A QEMU with two qcow2 disks and one raw node without a device, that has just been negotiated with. */
export interface Subject {
  /** What it said and did, without what may differ: dates, sizes in bytes, paths. */
  play(step: Step): Promise<unknown>;
  close(): Promise<void>;
}
