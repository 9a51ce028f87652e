/* What a machine and its snapshots must be after each operation, by the rules alone. */
import { chainOf, type Layer, melting, type Wanted } from './chains.ts';

/** A disk is written in slots of this many bytes, half a cluster of qcow2: each has one pattern. */
export const SLOT_BYTES = 32 * 1024;
export const SLOTS = 128;
export const DISK_MB = (SLOTS * SLOT_BYTES) / 1024 ** 2;

/** The pattern of every slot; 0 where nothing was written. */
export type Content = Uint8Array;

/** What the guest writes on a disk: the same on some slots in a row. */
export interface Write {
  readonly letter: string;
  readonly first: number;
  readonly count: number;
  readonly pattern: number;
}

export type Power = 'off' | 'running' | 'paused';
export type Mode = 'none' | 'internal' | 'external';

export interface ModelDisk {
  readonly letter: string;
  /** So that a capture has to say what it does with it. */
  readonly isRaw: boolean;
  readonly given: Layer;
  /** What copies of the caller stand on. */
  readonly read: Set<Layer>;
  top: Layer;
  content: Content;
}

/** What a snapshot has of one disk. */
interface Kept {
  readonly mode: 'internal' | 'external';
  layer: Layer;
  readonly content: Content;
}

interface Memory {
  readonly hasMemory: boolean;
  /** Only a new QEMU could take it up. */
  readonly isStream: boolean;
}

export interface Held extends Memory {
  readonly id: string;
  /** What the story of the walk calls it. */
  readonly label: string;
  name: string;
  parent: string | null;
  isRetired: boolean;
  readonly isPin: boolean;
  readonly power: Power;
  /** Null when nobody knows what stood there. */
  readonly memory: number | null;
  readonly disks: Map<string, Kept>;
}

export interface Capture extends Memory {
  readonly id: string;
  readonly name: string;
  /** By letter. */
  readonly modes: ReadonlyMap<string, Mode>;
  /** Whether a disk that is captured externally goes on in a format that holds snapshots. */
  readonly canHold: (letter: string) => boolean;
  /** Letters of which a copy is made that holds the top layer only. */
  readonly copiedTops: readonly string[];
}

export interface Load {
  readonly id: string;
  readonly withMemory: boolean;
  readonly goesOn: 'running' | 'paused';
  /** A machine that was off is on afterwards. */
  readonly isStarted: boolean;
  readonly pin: { readonly id: string; readonly name: string; readonly hasMemory: boolean } | null;
  /** Earlier pins that the ledger says are gone now. */
  readonly gone: readonly string[];
}

/** What is walked on. */
export interface Machine {
  /** A disk for each. */
  readonly letters: string;
  /** Those of them that are raw. */
  readonly raw: string;
  readonly hasLauncher: boolean;
}

export class Model {
  power: Power = 'running';
  memory: number | null = null;
  current: string | null = null;
  readonly disks: readonly ModelDisk[];
  readonly snapshots = new Map<string, Held>();
  /** Whether the worker can start a new QEMU. */
  readonly hasLauncher: boolean;
  #count = 0;

  constructor({ letters, raw, hasLauncher }: Machine) {
    this.hasLauncher = hasLauncher;
    this.disks = [...letters].map((letter) => {
      const isRaw = raw.includes(letter);
      const given: Layer = { isGiven: true, canHold: !isRaw, backing: null };
      return { letter, isRaw, given, read: new Set(), top: given, content: new Uint8Array(SLOTS) };
    });
  }

  snapshot(id: string): Held {
    const found = this.snapshots.get(id);
    if (!found) throw new Error(`the model has no snapshot ${id}`);
    return found;
  }

  disk(letter: string): ModelDisk {
    const found = this.disks.find((disk) => disk.letter === letter);
    if (!found) throw new Error(`the model has no disk ${letter}`);
    return found;
  }

  write({ letter, first, count, pattern }: Write): void {
    const disk = this.disk(letter);
    disk.content = Uint8Array.from(disk.content).fill(pattern, first, first + count);
  }

  create({ id, name, hasMemory, isStream, modes, canHold, copiedTops }: Capture): void {
    const disks = new Map<string, Kept>();
    for (const disk of this.disks) {
      const { backing } = disk.top;
      if (backing && copiedTops.includes(disk.letter)) disk.read.add(backing);
      const mode = modes.get(disk.letter) ?? 'none';
      if (mode === 'none') continue;
      disks.set(disk.letter, { mode, layer: disk.top, content: disk.content });
      if (mode === 'external') disk.top = overlayOn(disk.top, canHold(disk.letter));
    }
    this.#add({ id, name, hasMemory, isStream, disks, isPin: false });
    this.current = id;
  }

  #add(taken: Pick<Held, 'id' | 'name' | 'hasMemory' | 'isStream' | 'disks' | 'isPin'>): void {
    const { power, current: parent } = this;
    const memory = taken.hasMemory ? this.memory : null;
    const label = `${taken.isPin ? 'pin' : 's'}${(this.#count += 1)}`;
    this.snapshots.set(taken.id, { ...taken, label, parent, isRetired: false, power, memory });
  }

  /** What is wrong with the pins that are gone, in words, and all that the load brings back. */
  load({ id, withMemory, goesOn, isStarted, pin, gone }: Load): string[] {
    const { disks, memory } = this.snapshot(id);
    const due = this.#pinsDue(id, pin !== null);
    if (pin) this.#add({ ...pin, isStream: false, disks: this.#pinned(disks), isPin: true });
    for (const disk of this.disks) {
      const kept = disks.get(disk.letter);
      if (!kept) continue;
      disk.content = kept.content;
      if (kept.mode === 'external') disk.top = overlayOn(kept.layer);
      else if (kept.layer !== disk.top) disk.top = overlayOn(kept.layer.backing);
    }
    if (this.power !== 'off' || isStarted) {
      this.power = goesOn;
      this.memory = withMemory ? memory : null;
    }
    const wrong = [
      ...gone.filter((other) => !due.some((held) => held.id === other)),
      ...due.filter((held) => !gone.includes(held.id) && !this.#isBuried(held)).map((held) => held.label),
    ];
    for (const other of gone) this.#remove(other);
    this.current = id;
    return wrong;
  }

  /** Those that the newest one replaces; the one that is loaded is what the present descends from. */
  #pinsDue(loaded: string, isReplaced: boolean): Held[] {
    const older = [...this.snapshots.values()].filter((held) => held.isPin && held.id !== loaded);
    return isReplaced ? older : older.slice(0, -1);
  }

  /** Whether a tag of it stands in a file that lies under others by now. */
  #isBuried = ({ disks }: Held): boolean =>
    this.disks.some(({ letter, top }) => {
      const kept = disks.get(letter);
      return kept?.mode === 'internal' && kept.layer !== top;
    });

  /** A disk that gets a new top keeps its old one, every other one that can gets a tag. */
  #pinned(loaded: Held['disks']): Held['disks'] {
    const disks = new Map<string, Kept>();
    for (const disk of this.disks) {
      const { letter, top: layer, content } = disk;
      const kept = loaded.get(letter);
      const isMoved = kept && (kept.mode === 'external' || kept.layer !== layer);
      if (isMoved) disks.set(letter, { mode: 'external', layer, content });
      else if (layer.canHold) disks.set(letter, { mode: 'internal', layer, content });
    }
    return disks;
  }

  #remove(id: string): void {
    const { parent } = this.snapshot(id);
    for (const held of this.snapshots.values()) if (held.parent === id) held.parent = parent;
    if (this.current === id) this.current = parent;
    this.snapshots.delete(id);
  }

  /** They are gone, and of no layer is more left than has to be. */
  remove(ids: readonly string[], how: 'merged' | 'discarded' | 'all'): void {
    const going = ids.map((id) => this.snapshot(id));
    for (const disk of this.disks) {
      const isAll = how === 'all';
      const mayMelt =
        how === 'discarded' ? () => false : (layer: Layer) => isAll || frozen(going, disk, layer);
      const { pulls, pushes } = melting(disk.given, this.#wanted(disk, going), mayMelt);
      for (const { into, onto } of pulls) into.backing = onto;
      for (const { from, into } of pushes) this.#move(disk, from, into);
    }
    for (const id of ids) this.#remove(id);
  }

  #move(disk: ModelDisk, from: Layer, into: Layer): void {
    const kept = [...this.snapshots.values()].flatMap(({ disks }) => disks.get(disk.letter) ?? []);
    const layers = [...kept.map(({ layer }) => layer), disk.top].flatMap(chainOf);
    for (const layer of layers) if (layer.backing === from) layer.backing = into;
    for (const one of kept) if (one.layer === from) one.layer = into;
    if (disk.top === from) disk.top = into;
  }

  #wanted({ letter, top, read }: ModelDisk, going: readonly Held[]): Wanted {
    const staying = [...this.snapshots.values()].filter((held) => !going.includes(held));
    const kept = staying.flatMap(({ disks }) => disks.get(letter) ?? []);
    return {
      layers: new Set([top, ...read, ...kept.map(({ layer }) => layer)]),
      inhabited: new Set(kept.filter(({ mode }) => mode === 'internal').map(({ layer }) => layer)),
      read,
    };
  }

  /** Those that a merge of this one would take along, and a merge of those in turn. */
  losers(id: string): Held[] {
    const going = [this.snapshot(id)];
    for (;;) {
      const more = this.disks.flatMap((disk) => {
        const mayMelt = (layer: Layer): boolean => frozen(going, disk, layer);
        const { pulls } = melting(disk.given, this.#wanted(disk, going), mayMelt);
        return pulls.flatMap(({ into }) => this.#inside(disk, into));
      });
      const found = [...new Set(more)].filter((held) => !going.includes(held));
      if (found.length === 0) return going.slice(1);
      going.push(...found);
    }
  }

  #inside({ letter }: ModelDisk, layer: Layer): Held[] {
    return [...this.snapshots.values()].filter(({ disks }) => {
      const kept = disks.get(letter);
      return kept?.mode === 'internal' && kept.layer === layer;
    });
  }

  /** The snapshot and all that descend from it, each after its descendants. */
  subtree(id: string): string[] {
    const children = [...this.snapshots.values()].filter(({ parent }) => parent === id);
    return [...children.flatMap((child) => this.subtree(child.id)), id];
  }

  /** Pins are nobody's children; those of a pin are its parent's. */
  hasChildren(id: string): boolean {
    const children = [...this.snapshots.values()].filter(({ parent }) => parent === id);
    return children.some((child) => !child.isPin || this.hasChildren(child.id));
  }

  /** Whether the machine writes on top of something that one of them has frozen. */
  isInUse(ids: readonly string[]): boolean {
    const going = ids.map((id) => this.snapshot(id));
    return this.disks.some((disk) => chainOf(disk.top).some((layer) => frozen(going, disk, layer)));
  }
}

const overlayOn = (backing: Layer | null, canHold = true): Layer => ({ isGiven: false, canHold, backing });

const frozen = (held: readonly Held[], { letter }: ModelDisk, layer: Layer): boolean =>
  held.some(({ disks }) => {
    const kept = disks.get(letter);
    return kept?.mode === 'external' && kept.layer === layer;
  });
