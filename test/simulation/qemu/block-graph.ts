import { blank, type Content, over } from './content.ts';
import type { Image, SnapshotEntry } from './image.ts';
import { QmpError } from './qmp-error.ts';

/** Something that QEMU has open, under a name. */
export interface BlockNode {
  readonly name: string;
  readonly driver: string;
  /** What a node of a format or of a file has open; null: it holds nothing and reads zeros. */
  readonly image: Image | null;
  readonly sizeBytes: number;
  /** The node below a node of a format. */
  readonly file: BlockNode | null;
  backing: BlockNode | null;
  isReadOnly: boolean;
  /** Somebody gave it a name and must close it; all others go when nobody stands on them. */
  readonly isOwned: boolean;
  /** In the file, but not in QEMU's memory, since a roll-back that failed. */
  readonly hidden: Set<SnapshotEntry>;
}

/** A disk as the guest sees it. */
export interface Device {
  readonly id: string;
  node: BlockNode;
}

/** What a node is to be. Without a name QEMU finds one. */
export interface Opening {
  readonly name: string | null;
  readonly fileName?: string;
  readonly isReadOnly: boolean;
  readonly backing: BlockNode | null;
}

/** Which images one QEMU has open, which stands on which, and what its guest's devices stand on. */
export class BlockGraph {
  /** Oldest first. */
  nodes: BlockNode[] = [];
  readonly devices: Device[] = [];
  /** What jobs work on, and so cannot be closed. */
  readonly busy = new Map<string, { readonly job: string; readonly nodes: readonly BlockNode[] }>();
  readonly #holder: string;
  #held = new Set<Image>();
  #names = 100;

  /** Whoever holds the locks. */
  constructor(holder: string) {
    this.#holder = holder;
  }

  find(name: string): BlockNode | undefined {
    return this.nodes.find((node) => node.name === name);
  }

  /** Opens an image whose lock is free; what it stands on is open already. */
  open(image: Image, { name, fileName, isReadOnly, backing }: Opening): BlockNode {
    const file: BlockNode = {
      ...plain(image),
      name: fileName ?? this.#ownName(),
      driver: 'file',
      isOwned: fileName !== undefined,
    };
    this.nodes.push(file);
    const node: BlockNode = {
      ...plain(image),
      name: name ?? this.#ownName(),
      driver: image.format,
      file,
      backing,
      isReadOnly,
      isOwned: name !== null,
    };
    this.nodes.push(node);
    return node;
  }

  openNull(name: string, sizeBytes: number): void {
    const empty = { image: null, file: null, backing: null, hidden: new Set<SnapshotEntry>() };
    this.nodes.push({ ...empty, name, driver: 'null-co', sizeBytes, isReadOnly: false, isOwned: true });
  }

  /** `blockdev-del`. */
  close(name: string): void {
    const node = this.find(name);
    if (!node) throw new QmpError(`Failed to find node with node-name='${name}'`);
    if (!node.isOwned) throw new QmpError(`Node ${name} is not owned by the monitor`);
    const job = this.jobOn(node);
    if (job) throw new QmpError(`Node '${name}' is busy: block device is in use by block job: ${job}`);
    const above = this.isBacking(node);
    if (above) throw new QmpError(`Node '${name}' is busy: node is used as backing hd of '${above.name}'`);
    if (this.isUsed(node)) throw new QmpError(`Node ${name} is in use`);
    node.image?.flush();
    this.nodes = this.nodes.filter((other) => other !== node);
    this.settle();
  }

  /** Whether anything stands on the node. */
  isUsed(node: BlockNode): boolean {
    return (
      this.devices.some((device) => device.node === node) ||
      this.nodes.some(({ file, backing }) => file === node || backing === node)
    );
  }

  /** The kind of the job that works on a node. */
  jobOn(node: BlockNode): string | undefined {
    for (const { job, nodes } of this.busy.values()) if (nodes.includes(node)) return job;
    return undefined;
  }

  isBacking(node: BlockNode): BlockNode | undefined {
    return this.nodes.find(({ backing }) => backing === node);
  }

  /** What nobody stands on any more closes by itself; locks follow what is open, and how. */
  settle(): void {
    for (;;) {
      const busy = new Set([...this.busy.values()].flatMap(({ nodes }) => nodes));
      const left = this.nodes.filter((node) => node.isOwned || busy.has(node) || this.isUsed(node));
      if (left.length === this.nodes.length) break;
      this.nodes = left;
    }
    this.#lock();
  }

  #lock(): void {
    const held = new Set<Image>();
    for (const { image } of this.nodes) if (image) image.release(this.#holder);
    for (const image of this.#held) image.release(this.#holder);
    for (const node of this.nodes) {
      const { image } = node;
      if (!image || node.driver === 'file') continue;
      held.add(image);
      const isWritten = !node.isReadOnly && (node.driver !== 'raw' || this.isUsed(node));
      if (isWritten) image.writer = this.#holder;
      else if (image.writer !== this.#holder) image.readers.add(this.#holder);
    }
    this.#held = held;
  }

  /** The process is gone. */
  abandon(): void {
    for (const image of this.#held) {
      image.release(this.#holder);
      image.loseUnflushed();
    }
    this.nodes = [];
    this.#held.clear();
  }

  /** Locks are free for others, until `settle`. */
  letGo(): void {
    this.flush();
    for (const image of this.#held) image.release(this.#holder);
  }

  flush(): void {
    for (const { image } of this.nodes) image?.flush();
  }

  /** The node and all below it, top first. */
  chainOf(top: BlockNode): BlockNode[] {
    const chain: BlockNode[] = [];
    for (let node: BlockNode | null = top; node; node = node.backing) chain.push(node);
    return chain;
  }

  /** What is read through a node. */
  read(node: BlockNode): Content {
    const below = node.backing ? this.read(node.backing) : blank();
    return node.image ? over(node.image.content, below) : below;
  }

  #ownName(): string {
    this.#names += 1;
    return `#block${this.#names}`;
  }
}

const plain = (image: Image) => ({
  image,
  sizeBytes: image.virtualSizeBytes,
  file: null,
  backing: null,
  isReadOnly: false,
  hidden: new Set<SnapshotEntry>(),
});
