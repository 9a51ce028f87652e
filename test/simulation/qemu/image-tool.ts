import type { Finished } from '#world';
import { byIdOrName, byName, type Image, imageInfo } from './image.ts';
import { commit, compare, convert, create, map, rebase } from './image-copies.ts';
import { lockTrouble } from './opening.ts';
import { tear, TORN_SHARE } from './snapshot-jobs.ts';
import { failed, fileNamed, type Invocation, json, ok, slowly, toolArguments } from './tool.ts';
import { pause, type Work } from './work.ts';

/** Medians of a process of its own (reference: latencies). */
const READ_MS = 5;
const CREATE_MS = 17;
const APPLY_MS = 8;
const DELETE_MS = 11;
/** What `check` exits with. */
const CHECK_CODES = { clean: 0, errors: 2, torn: 2, leaks: 3 } as const;

const COMMANDS: Readonly<Record<string, (invocation: Invocation) => Work<Finished>>> = {
  info: (invocation) => reading(invocation, (image) => ok(`${json(imageInfo(image, image.snapshots))}\n`)),
  check: (invocation) =>
    invocation.options.has('-r')
      ? writing(invocation, (image) => repair(invocation, image))
      : reading(invocation, checked),
  snapshot: (invocation) => writing(invocation, (image) => change(invocation, image)),
  create,
  rebase,
  commit,
  convert,
  map,
  compare,
};

/** qemu-img as a process. Its exit code and words are those of 7.2. */
export function* imageTool(
  lent: Pick<Invocation, 'surroundings' | 'shelf' | 'holder'>,
  args: readonly string[],
): Work<Finished> {
  const read = toolArguments(args);
  const act = COMMANDS[read?.command ?? ''];
  if (!read || !act) return failed(`Command not found: ${args[0] ?? ''}`);
  if (read.unknown !== null)
    return failed(`unrecognized option '${read.unknown}'\nTry 'qemu-img --help' for more information`);
  yield* pause(lent.surroundings.chance, READ_MS / 2, 'starts');
  return yield* act({ ...lent, ...read });
}

function imageOf({ shelf, flags, named }: Invocation): Image | Finished {
  const [name = ''] = named;
  const path = fileNamed(name, flags.has('--image-opts'));
  const image = shelf.files.image(path);
  if (image) return image;
  if (shelf.files.stat(path)) return failed(`Could not open '${name}': Image is not in qcow2 format`);
  return failed(`Could not open '${name}': Could not open '${path}': No such file or directory`);
}

const isFinished = (found: Image | Finished): found is Finished => 'code' in found;

function* reading(invocation: Invocation, act: (image: Image) => Finished): Work<Finished> {
  const { flags, surroundings, holder, named } = invocation;
  const image = imageOf(invocation);
  if (isFinished(image)) return image;
  const isShared = flags.has('-U') || flags.has('--force-share');
  const trouble = isShared ? null : lockTrouble(image, 'read');
  if (trouble) return failed(`Could not open '${named[0] ?? ''}': ${trouble}`);
  if (!isShared) image.readers.add(holder);
  yield* pause(surroundings.chance, READ_MS / 2, 'reads');
  image.release(holder);
  return act(image);
}

function* writing(invocation: Invocation, act: (image: Image) => Work<Finished>): Work<Finished> {
  const { flags, options, holder, named } = invocation;
  if (flags.has('-l')) return yield* reading(invocation, () => ok());
  const image = imageOf(invocation);
  if (isFinished(image)) return image;
  const [name = ''] = named;
  if (flags.has('-U') && !options.has('-r'))
    return failed(`Could not open '${name}': force-share=on can only be used with read-only images`);
  const trouble = lockTrouble(image, 'write');
  if (trouble) return failed(`Could not open '${name}': ${trouble}`);
  image.writer = holder;
  const finished = yield* act(image);
  image.release(holder);
  return finished;
}

const checked = ({ health, canSnapshot }: Image): Finished => {
  if (!canSnapshot) return failed('This image format does not support checks', 63);
  const code = CHECK_CODES[health];
  return { code, stdout: '', stderr: code === 2 ? 'ERROR OFLAG_COPIED data cluster: refcount=2\n' : '' };
};

function* repair({ surroundings, options }: Invocation, image: Image): Work<Finished> {
  if (!image.canSnapshot) return checked(image);
  yield* pause(surroundings.chance, READ_MS, `repairs ${image.path}`);
  if (options.get('-r') === 'all' || image.health !== 'errors') image.health = 'clean';
  return checked(image);
}

function* change(invocation: Invocation, image: Image): Work<Finished> {
  const { options, surroundings } = invocation;
  yield* slowly(surroundings);
  const [what = '', tag = ''] = [...options][0] ?? [];
  if (what === '-c') return yield* take(invocation, image, tag);
  const entry = (what === '-a' ? byIdOrName : byName)(image.snapshots, tag);
  if (what === '-a') return yield* apply(invocation, image, { tag, entry });
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
function* take({ surroundings, shelf }: Invocation, image: Image, tag: string): Work<Finished> {
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
    content: [...image.content],
    truth: shelf.read(image),
    instant: shelf.instantOf(image),
    memory: null,
    isDamaged: false,
  });
  return ok();
}

function* apply(
  { surroundings }: Invocation,
  image: Image,
  { tag, entry }: { tag: string; entry: Image['snapshots'][number] | undefined },
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
