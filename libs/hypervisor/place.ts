import type { Disk } from '#ledger';
import type { World } from '#world';
import type { Images } from './qemu/images.ts';
import type { Launcher } from './qemu/launcher.ts';
import type { Line } from './qemu/monitors.ts';

/** A file that a VM has, or that it reads below those. */
export interface ClaimedFile {
  readonly vmId: string;
  readonly file: string;
}

/** Where a machine is found: by its monitor while it is on, by its images while it is off. */
export interface Place {
  readonly world: World;
  readonly monitor: string;
  readonly line: Line;
  readonly images: Images;
  /** Where monitors and guest agents may lie. */
  readonly monitorRoots: readonly string[];
  /** Where files that a caller names may lie. Empty: beside the disks. */
  readonly imageRoots: readonly string[];
  /** The images of other VMs, and what those stand on. */
  readonly claimedBesides: (vmId: string) => Promise<readonly ClaimedFile[]>;
  /** Where sockets of ours may lie, that QEMU sends memory to; nobody else enters it. Null: there is no such place. */
  readonly socketsDir: string | null;
  /** What becomes of a machine that was started from a wrong layer. */
  readonly onWrongChain: 'stop' | 'report';
  /** Who ends and starts machines; null: nobody here can. */
  readonly launcher: Launcher | null;
  /** As last seen. What a machine that is off consists of. */
  disks: readonly Disk[];
}
