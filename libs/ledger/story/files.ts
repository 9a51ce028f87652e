import type { Fold, LayerPlan } from '../layers.ts';

/** What stands at each place of a disk. */
export type Content = ReadonlyMap<number, string>;

interface File {
  backing: string | null;
  data: Map<number, string>;
  /** What snapshots inside keep of the file: only the file's own part, as in qcow2. */
  readonly tags: Map<string, Map<number, string>>;
}

/** Test-only. Image files as QEMU has them, so that what a plan promises can be read back. */
export class Files {
  readonly #files = new Map<string, File>();

  create(name: string, backing: string | null): void {
    if (this.#files.has(name)) throw new Error(`${name} is there already`);
    this.#files.set(name, { backing, data: new Map(), tags: new Map() });
  }

  backings(): ReadonlyMap<string, string | null> {
    return new Map([...this.#files].map(([name, { backing }]) => [name, backing]));
  }

  write(name: string, at: number, value: string): void {
    this.#of(name).data.set(at, value);
  }

  read(name: string): Content {
    const { backing, data } = this.#of(name);
    return through(data, backing === null ? new Map() : this.read(backing));
  }

  /** What the file lacks a snapshot inside reads from below, as it is now. */
  readTag(name: string, tag: string): Content {
    const { backing, tags } = this.#of(name);
    const own = tags.get(tag);
    if (!own) throw new Error(`${name} holds no ${tag}`);
    return through(own, backing === null ? new Map() : this.read(backing));
  }

  tag(name: string, tag: string): void {
    const { data, tags } = this.#of(name);
    tags.set(tag, new Map(data));
  }

  revert(name: string, tag: string): void {
    const file = this.#of(name);
    file.data = new Map(file.tags.get(tag));
  }

  untag(name: string, tag: string): void {
    this.#files.get(name)?.tags.delete(tag);
  }

  /** A file like this one as it was at the tag, for a machine that cannot write on this one any more. */
  copyOf(name: string, tag: string, copy: string): void {
    const { backing, tags } = this.#of(name);
    this.create(copy, backing);
    this.#of(copy).data = new Map(tags.get(tag));
  }

  carryOut({ folds, unneeded }: LayerPlan): void {
    for (const { file } of unneeded) this.#unlink(file);
    for (const fold of folds) this.#fold(fold);
    const pushed = folds.flatMap((fold) => (fold.how === 'push' ? [fold.from] : []));
    const folded = new Set([...pushed, ...folds.flatMap(({ run }) => run)].map(({ file }) => file));
    // A fork: whoever stands on another that is folded too goes first.
    while (folded.size > 0) {
      const next = [...folded].find((file) => this.#on(file).length === 0);
      if (next === undefined) throw new Error(`something still stands on ${[...folded].join(', ')}`);
      this.#unlink(next);
      folded.delete(next);
    }
  }

  #fold(fold: Fold): void {
    const run = fold.run.map(({ file }) => this.#of(file).data);
    if (fold.how === 'pull') {
      const into = this.#of(fold.into.file);
      into.data = new Map(run.reduce(through, into.data));
      into.backing = fold.base?.file ?? null;
      return;
    }
    const [from, base] = [fold.from.file, this.#of(fold.base.file)];
    base.data = new Map([this.#of(from).data, ...run, base.data].reduce(through));
    for (const above of this.#on(from)) this.#of(above).backing = fold.base.file;
  }

  #unlink(name: string): void {
    const [above] = this.#on(name);
    if (above !== undefined) throw new Error(`${above} stands on ${name}`);
    this.#files.delete(name);
  }

  #on(name: string): string[] {
    return [...this.#files].filter(([, { backing }]) => backing === name).map(([above]) => above);
  }

  #of(name: string): File {
    const file = this.#files.get(name);
    if (!file) throw new Error(`there is no file ${name}`);
    return file;
  }
}

const through = (above: Content, below: Content): Map<number, string> => new Map([...below, ...above]);
