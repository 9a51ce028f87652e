import { BLOCKS, type Content, isSame, type SavedMemory } from './content.ts';

/** Whatever a guest's disks are read and written through. */
export interface GuestDisk {
  readonly device: string;
  readonly isReadOnly: boolean;
  read(): Content;
  write(block: number, value: number): void;
}

/** The system in the machine. It outlives the process it runs in: it is started again with it. */
export class Guest {
  /** Grows whenever the guest had time to do something. */
  instant = 1;
  /** The disks on which it has written anything since it was started. */
  readonly written = new Set<string>();
  /** Nothing is written while its file systems are frozen. */
  isFrozen = false;
  /** What it remembers of its disks. As long as it runs, they hold just that. */
  view = new Map<string, Content>();
  /** Disks that were left out when a memory was saved which is loaded now: it may find anything there. */
  readonly forgiven = new Set<string>();
  /** The first time that it met a disk which did not hold what it remembered, in words. */
  startled: string | null = null;

  /** Does something: it writes here and there. `below` draws an integer below a number. */
  run(disks: readonly GuestDisk[], below: (end: number) => number): void {
    this.instant += 1;
    for (const disk of disks) {
      this.#look(disk);
      const block = below(2 * BLOCKS);
      if (disk.isReadOnly || this.isFrozen || block >= BLOCKS) continue;
      disk.write(block, this.instant);
      this.written.add(disk.device);
      this.view.set(disk.device, disk.read());
    }
  }

  /** Begins anew and reads its disks as they are. */
  boot(disks: readonly GuestDisk[]): void {
    this.isFrozen = false;
    this.written.clear();
    this.view = new Map(disks.map((disk) => [disk.device, disk.read()]));
  }

  remember(serial: number): SavedMemory {
    return { serial, instant: this.instant, view: new Map(this.view), isFrozen: this.isFrozen };
  }

  restore({ view, isFrozen }: SavedMemory): void {
    this.view = new Map(view);
    this.isFrozen = isFrozen;
  }

  #look(disk: GuestDisk): void {
    const known = this.view.get(disk.device);
    const found = disk.read();
    if (this.forgiven.has(disk.device)) this.view.set(disk.device, found);
    else if (known && !isSame(known, found))
      this.startled ??= `${disk.device} holds ${found.join(' ')}, and the guest remembers ${known.join(' ')}`;
  }
}
