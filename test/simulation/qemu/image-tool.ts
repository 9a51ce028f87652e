import type { Finished } from '#world';
import { byIdOrName, byName, type Image, imageInfo } from './image.ts';
import type { Json } from './json.ts';
import { lockTrouble } from './machine.ts';
import { tear, TORN_SHARE } from './snapshot-jobs.ts';
import { pause, type Surroundings, type Work } from './work.ts';

/** Medians of a process of its own (reference: latencies). */
const READ_MS = 5;
const CREATE_MS = 17;
const APPLY_MS = 8;
const DELETE_MS = 11;
/** How long a slow one may take: whoever started it has given up by then. */
const SLOW_LEAST_MS = 100;
const SLOW_MOST_MS = 20_000;

/** What `check` exits with. */
const CHECK_CODES = { clean: 0, errors: 2, torn: 2, leaks: 3 } as const;

/** The images of the host, and when the guest that uses one was last at work. */
export interface Shelf {
  readonly images: ReadonlyMap<string, Image>;
  readonly instantOf: (image: Image) => number;
}

/** One run of qemu-img: its arguments read, its locks held while it works. */
interface Invocation {
  readonly surroundings: Surroundings;
  readonly shelf: Shelf;
  readonly image: Image;
  readonly flags: ReadonlySet<string>;
  readonly options: ReadonlyMap<string, string>;
  /** Who holds the lock. */
  readonly holder: string;
}

const FLAGS = new Set(['-U', '-q', '-l', '--image-opts', '--force-share']);
const OPTIONS = new Set(['-c', '-a', '-d', '-r', '-f', '--output']);

const ok = (stdout = ''): Finished => ({ code: 0, stdout, stderr: '' });
const failed = (words: string, code = 1): Finished => ({ code, stdout: '', stderr: `qemu-img: ${words}\n` });

/** qemu-img as a process: `info`, `check` and `snapshot`. Its exit code and words are those of 7.2. */
export function* imageTool(
  { surroundings, shelf, holder }: Pick<Invocation, 'surroundings' | 'shelf' | 'holder'>,
  args: readonly string[],
): Work<Finished> {
  const [command = '', ...rest] = args;
  const { flags, options, named, unknown } = parsed(rest);
  if (unknown !== null || (command === 'snapshot' && options.has('-f')))
    return failed(`unrecognized option '${unknown ?? '-f'}'\nTry 'qemu-img --help' for more information`);
  yield* pause(surroundings.chance, READ_MS / 2, 'starts');
  const path = flags.has('--image-opts') ? (fileOf(named) ?? '') : named;
  const image = shelf.images.get(path);
  if (!image) return failed(`Could not open '${named}': Could not open '${path}': No such file or directory`);
  const invocation = { surroundings, shelf, image, flags, options, holder };
  switch (command) {
    case 'info':
      return yield* reading(invocation, named, () => ok(`${json(imageInfo(image, image.snapshots))}\n`));
    case 'check':
      return yield* options.has('-r')
        ? writing(invocation, named, () => repair(invocation))
        : reading(invocation, named, () => checked(image));
    case 'snapshot':
      return yield* writing(invocation, named, () => change(invocation));
  }
  return failed(`Command not found: ${command}`);
}

const json = (value: Json): string => JSON.stringify(value, null, 4);

interface Parsed {
  readonly flags: Set<string>;
  readonly options: Map<string, string>;
  /** The image as the caller named it. */
  named: string;
  unknown: string | null;
}

function parsed(args: readonly string[]): Parsed {
  const result: Parsed = { flags: new Set(), options: new Map(), named: '', unknown: null };
  const words = args.flatMap((arg) => (arg.startsWith('--output=') ? arg.split('=') : [arg]));
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (FLAGS.has(word)) result.flags.add(word);
    else if (OPTIONS.has(word)) result.options.set(word, words[(at += 1)] ?? '');
    else if (word.startsWith('-')) result.unknown ??= word;
    else result.named = word;
  }
  return result;
}

/** The file in `driver=qcow2,file.driver=file,file.filename=/a,,b`: a comma is doubled. */
function fileOf(options: string): string | null {
  const found = /(?:^|,)file\.filename=((?:[^,]|,,)*)/.exec(options);
  return found?.[1]?.replaceAll(',,', ',') ?? null;
}

function* reading(invocation: Invocation, named: string, act: () => Finished): Work<Finished> {
  const { image, flags, surroundings, holder } = invocation;
  const isShared = flags.has('-U') || flags.has('--force-share');
  const trouble = isShared ? null : lockTrouble(image, 'read');
  if (trouble) return failed(`Could not open '${named}': ${trouble}`);
  if (!isShared) image.readers.add(holder);
  yield* pause(surroundings.chance, READ_MS / 2, 'reads');
  image.release(holder);
  return act();
}

function* writing(invocation: Invocation, named: string, act: () => Work<Finished>): Work<Finished> {
  const { image, flags, options, holder } = invocation;
  if (flags.has('-l')) return yield* reading(invocation, named, () => ok());
  if (flags.has('-U') && !options.has('-r'))
    return failed(`Could not open '${named}': force-share=on can only be used with read-only images`);
  const trouble = lockTrouble(image, 'write');
  if (trouble) return failed(`Could not open '${named}': ${trouble}`);
  image.writer = holder;
  const finished = yield* act();
  image.release(holder);
  return finished;
}

const checked = ({ health, canSnapshot }: Image): Finished => {
  if (!canSnapshot) return failed('This image format does not support checks', 63);
  const code = CHECK_CODES[health];
  return { code, stdout: '', stderr: code === 2 ? 'ERROR OFLAG_COPIED data cluster: refcount=2\n' : '' };
};

function* repair({ image, surroundings, options }: Invocation): Work<Finished> {
  if (!image.canSnapshot) return checked(image);
  yield* pause(surroundings.chance, READ_MS, `repairs ${image.path}`);
  if (options.get('-r') === 'all' || image.health !== 'errors') image.health = 'clean';
  return checked(image);
}

function* change(invocation: Invocation): Work<Finished> {
  const { options, image, surroundings } = invocation;
  const slow = surroundings.faults.happens('image-tool-slow')
    ? surroundings.chance.betweenLog(SLOW_LEAST_MS, SLOW_MOST_MS)
    : 0;
  if (slow > 0) yield { ms: slow, what: 'is slow' };
  const [tag, what] = [...options].map(([option, word]) => [word, option] as const)[0] ?? ['', ''];
  if (what === '-c') return yield* create(invocation, tag);
  const entry = (what === '-a' ? byIdOrName : byName)(image.snapshots, tag);
  if (what === '-a') return yield* apply(invocation, tag, entry);
  if (!entry) return failed(`Could not delete snapshot '${tag}': snapshot not found`);
  yield* pause(surroundings.chance, DELETE_MS, `deletes ${tag}`);
  if (surroundings.faults.happens('delete-io-error'))
    return failed(
      `Could not delete snapshot '${tag}': Failed to remove snapshot from snapshot list: Input/output error`,
    );
  image.remove(entry);
  return ok();
}

/** Does not look whether the tag is there already. */
function* create({ image, surroundings, shelf }: Invocation, tag: string): Work<Finished> {
  if (!image.canSnapshot) return failed(`Could not create snapshot '${tag}': -95 (Operation not supported)`);
  yield* pause(surroundings.chance, CREATE_MS, `creates ${tag}`);
  if (surroundings.isFull() || surroundings.faults.happens('create-no-space'))
    return failed(`Could not create snapshot '${tag}': -28 (No space left on device)`);
  image.add({
    id: image.nextId(),
    name: tag,
    dateMs: surroundings.wallMs(),
    vmClockNs: 0,
    vmStateSizeBytes: 0,
    icount: 0,
    serial: surroundings.newSerial(),
    content: image.content,
    instant: shelf.instantOf(image),
    memory: null,
    isDamaged: false,
  });
  return ok();
}

function* apply(
  { image, surroundings }: Invocation,
  tag: string,
  entry: Image['snapshots'][number] | undefined,
): Work<Finished> {
  if (!entry)
    return failed(`Could not apply snapshot '${tag}': Failed to load snapshot: No such file or directory`);
  if (surroundings.faults.happens('load-io-error'))
    return failed(`Could not apply snapshot '${tag}': Failed to load snapshot: Input/output error`);
  if (surroundings.chance.happens(TORN_SHARE)) tear(image, entry);
  yield* pause(surroundings.chance, APPLY_MS, `applies ${tag}`);
  image.revertTo(entry);
  if (image.health === 'torn') image.health = 'clean';
  return ok();
}
