import type { JsonObject } from './json.ts';

/** One snapshot in an image's table, and what it holds. */
export interface SnapshotEntry {
  readonly id: string;
  readonly name: string;
  /** Wall time of its creation, in ms since 1970. */
  readonly dateMs: number;
  readonly vmClockNs: number;
  readonly vmStateSizeBytes: number;
  /** QEMU's own snapshots say nothing of it, qemu-img's say 0. */
  readonly icount: number | null;
  /** Unlike the id never given twice in the world. */
  readonly serial: number;
  /** Which version of the disk it holds. */
  readonly content: number;
  /** When the guest was there: snapshots of one instant fit together. */
  readonly instant: number;
  /** The version of the guest's memory; null when it holds none. */
  readonly memory: number | null;
  /** Written over after a revert that died half-way and was never repaired. */
  isDamaged: boolean;
}

/**
 * - `leaks`: space that nobody uses. - `errors`: reference counts too high; harmless.
 * - `torn`: a revert died half-way. As long as nobody repairs it, what the guest writes damages the snapshot.
 */
export type Health = 'clean' | 'leaks' | 'errors' | 'torn';

export type Watcher = (change: 'add' | 'remove' | 'revert', entry: SnapshotEntry) => void;

/** An image file with its table of internal snapshots. Survives whoever has it open. */
export class Image {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  readonly virtualSizeBytes: number;
  /** The version of the disk that is active. */
  content = 0;
  /** Serial of the snapshot that the active content goes back to; 0 before the first revert. */
  origin = 0;
  snapshots: SnapshotEntry[] = [];
  health: Health = 'clean';
  /** Who has it open for writing; null when nobody. */
  writer: string | null = null;
  /** Who has it open for reading and wants it to stand still. */
  readonly readers = new Set<string>();
  #watcher: Watcher = () => undefined;

  constructor(path: string, format: 'qcow2' | 'raw' = 'qcow2', virtualSizeBytes = 16 * 1024 * 1024) {
    this.path = path;
    this.format = format;
    this.virtualSizeBytes = virtualSizeBytes;
  }

  /** Is told of every change right before it happens. */
  watch(watcher: Watcher): void {
    this.#watcher = watcher;
  }

  get canSnapshot(): boolean {
    return this.format === 'qcow2';
  }

  /** The id the next one gets. Starts anew when the table has become empty. */
  nextId(): string {
    return String(Math.max(0, ...this.snapshots.map(({ id }) => Number(id))) + 1);
  }

  /** The kernel takes a process's locks away with it. */
  release(holder: string): void {
    this.readers.delete(holder);
    if (this.writer === holder) this.writer = null;
  }

  remove(entry: SnapshotEntry): void {
    this.#watcher('remove', entry);
    this.snapshots = this.snapshots.filter((other) => other !== entry);
  }

  add(entry: SnapshotEntry): void {
    this.#watcher('add', entry);
    this.snapshots.push(entry);
  }

  /** Makes the snapshot's content the active one. */
  revertTo(entry: SnapshotEntry): void {
    this.#watcher('revert', entry);
    this.content = entry.content;
    this.origin = entry.serial;
  }

  /** The guest writes: a torn image then writes over the snapshot it was being reverted to. */
  write(content: number): void {
    this.content = content;
    if (this.health !== 'torn') return;
    for (const entry of this.snapshots) if (entry.serial === this.origin) entry.isDamaged = true;
  }
}

export const byName = (table: readonly SnapshotEntry[], name: string): SnapshotEntry | undefined =>
  table.find((entry) => entry.name === name);

/** How `-a` and `snapshot-load` look a disk's snapshot up: a tag that looks like an id is taken for one first. */
export const byIdOrName = (table: readonly SnapshotEntry[], word: string): SnapshotEntry | undefined =>
  table.find((entry) => entry.id === word) ?? byName(table, word);

const NS_PER_S = 1_000_000_000;

/** `SnapshotInfo` of QEMU's schema. */
export const snapshotInfo = (entry: SnapshotEntry): JsonObject => ({
  id: entry.id,
  name: entry.name,
  'vm-state-size': entry.vmStateSizeBytes,
  'date-sec': Math.floor(entry.dateMs / 1000),
  'date-nsec': (entry.dateMs % 1000) * 1_000_000,
  'vm-clock-sec': Math.floor(entry.vmClockNs / NS_PER_S),
  'vm-clock-nsec': entry.vmClockNs % NS_PER_S,
  ...(entry.icount !== null && { icount: entry.icount }),
});

/** `ImageInfo` of QEMU's schema, with the table as whoever asks sees it. */
export const imageInfo = (image: Image, table: readonly SnapshotEntry[]): JsonObject => ({
  ...(table.length > 0 && { snapshots: table.map(snapshotInfo) }),
  'virtual-size': image.virtualSizeBytes,
  filename: image.path,
  ...(image.format === 'qcow2' && {
    'cluster-size': 65_536,
    'format-specific': {
      type: 'qcow2',
      data: {
        compat: '1.1',
        'compression-type': 'zlib',
        'lazy-refcounts': false,
        'refcount-bits': 16,
        corrupt: false,
        'extended-l2': false,
      },
    },
  }),
  format: image.format,
  'actual-size': 200_704,
  'dirty-flag': false,
});
