import { blank, type Content, HOLE, nothing, type SavedMemory } from './content.ts';
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
  /** What the file itself held. What it lacked is read from below, for ever. */
  readonly content: Content;
  /** What the disk held when it was made, all in all: what it should hold for ever. */
  readonly truth: Content;
  /** When the guest was there: snapshots of one instant fit together. */
  readonly instant: number;
  readonly memory: SavedMemory | null;
  /** Written over after a revert that died half-way and was never repaired. */
  isDamaged: boolean;
}

/**
 * - `leaks`: space that nobody uses. - `errors`: reference counts too high; harmless.
 * - `torn`: a revert died half-way. As long as nobody repairs it, what the guest writes damages the snapshot.
 */
export type Health = 'clean' | 'leaks' | 'errors' | 'torn';

export type Format = 'qcow2' | 'raw';

export type Watcher = (change: 'add' | 'remove' | 'revert', entry: SnapshotEntry, image: Image) => void;

/** The file that an image stands on, as its header says. */
export interface Backing {
  readonly path: string;
  readonly format: string;
}

/** An image file with its table of internal snapshots. Survives whoever has it open. */
export class Image {
  /** Another one when it is renamed. */
  path: string;
  readonly format: Format;
  readonly virtualSizeBytes: number;
  /** What the file itself holds. */
  readonly content: number[];
  /** What it held when another one was put on top of it, and when that was; null while it is written. */
  frozen: { readonly instant: number; readonly truth: Content } | null = null;
  /** Serial of the snapshot that the active content goes back to; 0 before the first revert. */
  origin = 0;
  snapshots: SnapshotEntry[] = [];
  /** Who has it open for writing; null when nobody. */
  writer: string | null = null;
  /** Who has it open for reading and wants it to stand still. */
  readonly readers = new Set<string>();
  /** Blocks that a job has copied here, and that are lost when QEMU is killed before the next flush. */
  readonly unflushed = new Set<number>();
  watcher: Watcher = () => undefined;
  /** Is told whenever the file is written. */
  onWritten: () => void = () => undefined;
  #backing: Backing | null;
  #health: Health = 'clean';

  constructor(
    path: string,
    format: Format = 'qcow2',
    {
      virtualSizeBytes = 16 * 1024 * 1024,
      backing = null,
    }: Partial<Pick<Image, 'virtualSizeBytes' | 'backing'>> = {},
  ) {
    this.path = path;
    this.format = format;
    this.virtualSizeBytes = virtualSizeBytes;
    this.#backing = backing;
    this.content = format === 'raw' ? blank() : nothing();
  }

  get backing(): Backing | null {
    return this.#backing;
  }

  set backing(backing: Backing | null) {
    this.#backing = backing;
    this.onWritten();
  }

  get health(): Health {
    return this.#health;
  }

  set health(health: Health) {
    if (health !== this.#health) this.onWritten();
    this.#health = health;
  }

  get canSnapshot(): boolean {
    return this.format === 'qcow2';
  }

  /** Whether all of it is read from below. */
  get isEmpty(): boolean {
    return this.content.every((value) => value === HOLE);
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
    this.watcher('remove', entry, this);
    this.snapshots = this.snapshots.filter((other) => other !== entry);
    this.onWritten();
  }

  add(entry: SnapshotEntry): void {
    this.watcher('add', entry, this);
    this.snapshots.push(entry);
    this.onWritten();
  }

  /** Makes the snapshot's content the active one. */
  revertTo(entry: SnapshotEntry): void {
    this.watcher('revert', entry, this);
    this.fill(entry.content);
    this.frozen = null;
    this.unflushed.clear();
    this.origin = entry.serial;
  }

  /** The guest writes: a torn image then writes over the snapshot it was being reverted to. */
  write(block: number, value: number): void {
    this.frozen = null;
    this.put(block, value);
    this.unflushed.delete(block);
    if (this.health !== 'torn') return;
    for (const entry of this.snapshots) if (entry.serial === this.origin) entry.isDamaged = true;
  }

  /** A job writes: it is on disk with the next flush. */
  copyIn(block: number, value: number): void {
    this.frozen = null;
    this.put(block, value);
    this.unflushed.add(block);
  }

  /** Whoever has no guest to care for writes. */
  put(block: number, value: number): void {
    this.content[block] = value;
    this.onWritten();
  }

  flush(): void {
    this.unflushed.clear();
  }

  /** Whoever had it open is dead: what was not flushed is gone. */
  loseUnflushed(): void {
    for (const block of this.unflushed) this.content[block] = HOLE;
    this.unflushed.clear();
  }

  fill(content: Content): void {
    for (const [block, value] of content.entries()) this.content[block] = value;
    this.onWritten();
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
  ...(image.backing && {
    'full-backing-filename': image.backing.path,
    'backing-filename': image.backing.path,
    'backing-filename-format': image.backing.format,
  }),
  'dirty-flag': false,
});
