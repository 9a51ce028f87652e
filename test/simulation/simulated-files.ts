import { FileTrouble, type FileKind, type FileStat } from '#world';

interface Node {
  readonly kind: FileKind;
  text: string;
  readonly inode: number;
}

/** The file system of the simulated host: outlives every process. Knows no symbolic links. */
export class FileTree {
  isFull = false;
  readonly #nodes = new Map<string, Node>();

  make(path: string, kind: FileKind): void {
    if (!this.#nodes.has(path)) this.#nodes.set(path, { kind, text: '', inode: this.#nodes.size + 1 });
  }

  stat(path: string): FileStat | null {
    const node = this.#nodes.get(path);
    return (
      (node && {
        kind: node.kind,
        sizeBytes: node.text.length,
        identity: `1:${node.inode}`,
        modifiedAt: 0,
        changedAt: Number.POSITIVE_INFINITY, // It may change at any time.
      }) ??
      null
    );
  }

  append(path: string, text: string): void {
    if (this.isFull)
      throw new FileTrouble('ENOSPC', path, `ENOSPC: no space left on device, write '${path}'`);
    this.make(path, 'file');
    const node = this.#nodes.get(path);
    if (node) node.text += text;
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
    if (!node) throw new FileTrouble('ENOENT', from, `ENOENT: no such file or directory, rename '${from}'`);
    this.#nodes.delete(from);
    this.#nodes.set(to, node);
  }

  text(path: string): string {
    const node = this.#nodes.get(path);
    if (!node) throw new FileTrouble('ENOENT', path, `ENOENT: no such file or directory, open '${path}'`);
    return node.text;
  }

  unlink(path: string): boolean {
    return this.#nodes.delete(path);
  }
}
