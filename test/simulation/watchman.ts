import type { Disks } from './disks.ts';
import { type Open, PREFIX, tagOf } from './known.ts';
import type { Image, SnapshotEntry } from './qemu/image.ts';
import { directoryOf } from './simulated-files.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

/** Stands beside the disks of one VM and sees what changes there, right before it does. Throws `Violation`. */
export class Watchman {
  readonly #disks: Disks;
  readonly #open: () => Open | null;

  /** `open`: what is under way, as the log has said. */
  constructor(disks: Disks, open: () => Open | null) {
    this.#disks = disks;
    this.#open = open;
  }

  standBeside({ host, directory }: SimulatedVm): void {
    host.watch(directory, (...change) => this.watch(...change));
    host.files.onUnlink(directory, (path) => this.watchUnlink(path));
    host.files.onRename(directory, (...named) => this.watchName(...named));
  }

  /** Nothing of ours may move on a disk unless the log has said so before. */
  watch(change: 'add' | 'remove' | 'revert', entry: SnapshotEntry, image: Image): void {
    const id = entry.name.startsWith(PREFIX) ? entry.name.slice(PREFIX.length) : null;
    const open = this.#open();
    if (id === null || this.#disks.limits.layerCopies.has(image.path)) return;
    const isAllowed = {
      add: open !== null && (open.kind === 'create' || open.pinId === id),
      remove: true,
      revert: open?.kind === 'load' && !open.isLoaded,
    }[change];
    const isOwn = isAllowed && open !== null && isOwnOf(open, id);
    must(isOwn || (change === 'remove' && this.#mayGo(entry, image)), 'I19', () => {
      return `${change} of ${entry.name} on ${image.path}, which the log knows nothing of`;
    });
  }

  /** What was left behind, and earlier pins: they go without a word, and sometimes only in part. */
  #mayGo({ name }: SnapshotEntry, { path }: Image): boolean {
    const { pins, faded } = this.#disks.limits;
    if (pins.has(name)) faded.add(name);
    return pins.has(name) || this.#disks.isExpected(path, name);
  }

  /** An image gets the name that its caller has chosen when it is one, and nobody writes it any more. */
  watchName(path: string, image: Image | undefined): void {
    const { overlays = [], backups = [] } = this.#open()?.started ?? {};
    const named = [...overlays.map(({ file }) => file), ...backups.map(({ target }) => target)];
    if (!named.includes(path)) return;
    must(image?.writer === null, 'I2', () => `${path} gets its name before it is complete`);
  }

  /** Nothing is unlinked that the log does not name first. */
  watchUnlink(path: string): void {
    const open = this.#open();
    const isNamed = (open !== null && isNamedBy(open, path)) || this.#disks.isExpected(path, '');
    must(isNamed, 'I19', () => `${path} is unlinked, and the log did not name it`);
  }
}

function isNamedBy({ started, snapshotId, pinId }: Open, path: string): boolean {
  if (started === null) return false;
  const { unlinks = [], overlays = [], backups = [], memoryFile } = started;
  const copies = backups.map(({ target: file, node }) => ({ file, node }));
  const made = [...overlays, ...copies, ...(memoryFile ? [memoryFile] : [])];
  return (
    [...unlinks, ...made.map(({ file }) => file)].includes(path) ||
    made.some((named) => draftOf(tagOf(snapshotId ?? ''), named) === path) ||
    path === `${memoryFile?.file}.part` ||
    overlays.some(({ file }) => path === markBeside(file, tagOf(snapshotId ?? ''))) ||
    (pinId !== null && path.includes(tagOf(pinId)))
  );
}

/** What a file is called before it has the name that the log says. */
const draftOf = (tag: string, { file, node }: { readonly file: string; readonly node: string }): string =>
  `${directoryOf(file)}/${tag}${node.slice(node.lastIndexOf('-'))}.part`;

/** What tells that overlays are on their way down. */
const markBeside = (file: string, tag: string): string => `${directoryOf(file)}/${tag}-going-down`;

/** Whether an operation that has begun may touch what a snapshot has on the disks. */
const isOwnOf = ({ snapshotId, pinId, targets, started }: Open, id: string): boolean =>
  started !== null && [snapshotId, pinId, ...targets].includes(id);
