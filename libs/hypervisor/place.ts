import type { Disk } from '#ledger';
import type { World } from '#world';
import type { Images } from './images.ts';
import type { Line } from './monitors.ts';

/** Where a machine is found: by its monitor while it is on, by its images while it is off. */
export interface Place {
  readonly world: World;
  readonly monitor: string;
  readonly line: Line;
  readonly images: Images;
  /** As last seen. What a machine that is off consists of. */
  disks: readonly Disk[];
}
