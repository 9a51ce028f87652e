import { FileTrouble, type FileKind, type FileStat } from '#world';
import type { SavedMemory } from './qemu/content.ts';
import type { Image } from './qemu/image.ts';

interface Node {
  readonly kind: FileKind;
  readonly inode: number;
  /** When its content was written last, in ms since 1970, as the clock of the host said. */
  modifiedMs: number;
  /** When that or its name changed last. */
  changedMs: number;
  text: string;
  /** Absent: no image, not even an empty one. */
  image?: Image;
  /** A machine's memory as a stream, once all of it is there. */
  memory?: SavedMemory;
}

/** Linux stamps files with the time of the last tick of its clock, 250 of which make a second. */
const TICK_MS = 4;
/** What an image of no content takes up. */
const IMAGE_BYTES = 196_624;

/** What a name stood for before it was changed. */
interface Former {
  readonly path: string;
  readonly node: Node | undefined;
}

/** A change to a directory that is not on disk yet. Of a renaming, both names or none are changed for good. */
type Unsynced = readonly Former[];

/** The file system of the simulated host: outlives every process. Knows no symbolic links. */
export class FileTree {
  isFull = false;
  /** When a ledgerd looked at a path last. */
  readonly lookedAtMs = new Map<string, number>();
  /** Is told of every image when it gets its name. */
  onImage: (image: Image) => void = () => undefined;
  readonly #nodes = new Map<string, Node>();
  /** By directory, the oldest first. Directories themselves are there for good. */
  readonly #unsynced = new Map<string, Unsynced[]>();
  readonly #renamers = new Map<string, (path: string, image: Image | undefined) => void>();
  readonly #unlinkers = new Map<string, (path: string) => void>();
  readonly #wallMs: () => number;
  #inodes = 0;

  /** `wallMs`: what the clock of the host says. */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  make(path: string, kind: FileKind): void {
    if (this.#nodes.has(path)) return;
    if (kind === 'file') this.#named(path);
    else this.#add(path, kind);
  }

  /** Who binds a path unlinks what lay there before. A file system may give the same inode to what comes after it. */
  bind(path: string): void {
    const node = this.#nodes.get(path);
    if (node) this.#touch(node);
    else this.make(path, 'socket');
  }

  /** A file that its directory may not hold for good. */
  #named(path: string): Node {
    this.#change(path);
    return this.#add(path, 'file');
  }

  #add(path: string, kind: FileKind): Node {
    this.#inodes += 1;
    const node: Node = { kind, text: '', inode: this.#inodes, modifiedMs: 0, changedMs: 0 };
    this.#nodes.set(path, node);
    this.#touch(node);
    return node;
  }

  #touch(node: Node): void {
    node.modifiedMs = this.#tick();
    node.changedMs = node.modifiedMs;
  }

  #tick(): number {
    return Math.floor(this.#wallMs() / TICK_MS) * TICK_MS;
  }

  /** Whatever lies there is an image from now on. */
  putImage(image: Image): void {
    const node = this.#nodes.get(image.path) ?? this.#named(image.path);
    node.image = image;
    image.onWritten = () => this.#touch(node);
    this.#touch(node);
    this.onImage(image);
  }

  image(path: string): Image | undefined {
    return this.#nodes.get(path)?.image;
  }

  putMemory(path: string, memory: SavedMemory): void {
    const node = this.#nodes.get(path);
    if (node) node.memory = memory;
  }

  memory(path: string): SavedMemory | undefined {
    return this.#nodes.get(path)?.memory;
  }

  /** Every image that has a name, by whatever name. */
  *images(): Generator<Image> {
    for (const { image } of this.#nodes.values()) if (image) yield image;
  }

  /** The locks that are held on images, as Linux lists them. */
  locks(): string {
    const lines = [...this.#nodes.values()].flatMap(({ image, inode }) => {
      const bytes = [...(image?.writer ? [101, 201] : []), ...[...(image?.readers ?? [])].map(() => 201)];
      return bytes.map((byte) => `1: OFDLCK ADVISORY  READ -1 00:01:${inode} ${byte} ${byte}\n`);
    });
    return lines.join('');
  }

  stat(path: string): FileStat | null {
    const node = this.#nodes.get(path);
    if (!node) return null;
    const { kind, inode, text, image, modifiedMs, changedMs } = node;
    const sizeBytes = image ? IMAGE_BYTES : text.length;
    return { kind, sizeBytes, identity: `1:${inode}`, modifiedAt: modifiedMs, changedAt: changedMs };
  }

  append(path: string, text: string): void {
    if (this.isFull)
      throw new FileTrouble('ENOSPC', path, `ENOSPC: no space left on device, write '${path}'`);
    const node = this.#nodes.get(path) ?? this.#named(path);
    if (text === '') return;
    node.text += text;
    this.#touch(node);
  }

  /** What was written into a file that is no image; null when that is nothing. */
  start(path: string): string | null {
    return this.#nodes.get(path)?.text || null;
  }

  /** Makes a text all that a file holds that is no image. */
  fill(path: string, text: string): void {
    if (text !== '' && this.isFull)
      throw new FileTrouble('ENOSPC', path, `ENOSPC: no space left on device, write '${path}'`);
    const node = this.#nodes.get(path) ?? this.#named(path);
    node.text = text;
    this.#touch(node);
  }

  makeDirectory(path: string): void {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) this.make(at, 'directory');
  }

  list(path: string): string[] {
    const prefix = `${path}/`;
    return [...this.#nodes.keys()]
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length));
  }

  rename(from: string, to: string): void {
    const node = this.#nodes.get(from);
    this.#renamers.get(directoryOf(to))?.(to, node?.image);
    if (!node) throw new FileTrouble('ENOENT', from, `ENOENT: no such file or directory, rename '${from}'`);
    this.#change(to, from);
    this.#nodes.delete(from);
    this.#nodes.set(to, node);
    node.changedMs = this.#tick();
    if (node.image) node.image.path = to;
  }

  text(path: string): string {
    const node = this.#nodes.get(path);
    if (!node) throw new FileTrouble('ENOENT', path, `ENOENT: no such file or directory, open '${path}'`);
    return node.text;
  }

  /** Is told of what gets another name in a directory, and of the image that it is, right before it does. */
  onRename(directory: string, listener: (path: string, image: Image | undefined) => void): void {
    this.#renamers.set(directory, listener);
  }

  /** Is told of what is unlinked in a directory, right before it is. */
  onUnlink(directory: string, listener: (path: string) => void): void {
    this.#unlinkers.set(directory, listener);
  }

  unlink(path: string): boolean {
    const node = this.#nodes.get(path);
    if (!node) return false;
    this.#unlinkers.get(directoryOf(path))?.(path);
    if (node.kind === 'file') this.#change(path);
    return this.#nodes.delete(path);
  }

  /** Everything that was made, renamed or unlinked in a directory so far is so for good. */
  syncDirectory(directory: string): void {
    this.#unsynced.delete(directory);
  }

  /**
   * The power goes: of what was not synced the newest is undone. `kept` says how many of so many changes are not. Sockets lie
   * in memory.
   */
  losePower(kept: (changesCount: number) => number): void {
    for (const [path, { kind }] of this.#nodes) if (kind === 'socket') this.#nodes.delete(path);
    for (const changes of this.#unsynced.values())
      for (const formers of changes.splice(kept(changes.length)).toReversed())
        for (const { path, node } of formers) this.#undo(path, node);
    this.#unsynced.clear();
  }

  #undo(path: string, before: Node | undefined): void {
    if (before?.image) before.image.path = path;
    if (before) this.#nodes.set(path, before);
    else this.#nodes.delete(path);
  }

  /** Of names in one directory. */
  #change(...paths: [string, ...string[]]): void {
    const directory = directoryOf(paths[0]);
    const changes = this.#unsynced.get(directory) ?? [];
    this.#unsynced.set(directory, changes);
    changes.push(paths.map((path) => ({ path, node: this.#nodes.get(path) })));
  }
}

export const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));
