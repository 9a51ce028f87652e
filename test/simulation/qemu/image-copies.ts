import type { Finished } from '#world';
import { BLOCKS, HOLE, isSame } from './content.ts';
import { type Backing, type Format, Image } from './image.ts';
import { lockTrouble } from './opening.ts';
import { failed, fileNamed, type Invocation, json, ok, slowly } from './tool.ts';
import { pause, type Work } from './work.ts';

/* What qemu-img does with whole images and with several of them. */

/** Medians of a process of its own (reference: latencies). */
const MAKE_MS = 11;
const READ_MS = 5;
/** For one block, which stands for a share of the whole disk. */
const COPY_MS = 8;
/** What a block stands for. */
const BLOCK_BYTES = 65_536;

const NO_SPACE = 'No space left on device';

/** `create`: whatever lay there is gone. */
export function* create(invocation: Invocation): Work<Finished> {
  const { surroundings, shelf, options, named } = invocation;
  const [path = '', size = '0'] = named;
  const format: Format = options.get('-f') === 'raw' ? 'raw' : 'qcow2';
  const old = shelf.files.image(path);
  const trouble = old ? lockTrouble(old, 'write') : null;
  if (trouble) return failed(`${path}: ${trouble}`);
  yield* pause(surroundings.chance, MAKE_MS, `makes ${path}`); // Never slow: one that outlived its ledgerd would make a file that nobody knows of.
  if (surroundings.isFull() || surroundings.faults.happens('create-no-space'))
    return failed(`${path}: Could not write qcow2 header: ${NO_SPACE}`);
  const backing = backingIn(invocation, '-b');
  shelf.files.putImage(new Image(path, format, { virtualSizeBytes: Number(size), backing }));
  return ok();
}

function backingIn({ options }: Invocation, option: string): Backing | null {
  const path = options.get(option) ?? '';
  return path === '' ? null : { path, format: options.get('-F') ?? 'qcow2' };
}

/** Opens images as they must be, and lets go of them however the work ends. */
function* holding(
  { shelf, holder }: Invocation,
  wanted: { readonly write: readonly string[]; readonly read: readonly string[] },
  work: (images: readonly Image[]) => Work<Finished>,
): Work<Finished> {
  const paths = [...wanted.write, ...wanted.read];
  const images: Image[] = [];
  for (const path of paths) {
    const image = shelf.files.image(path);
    if (!image)
      return failed(`Could not open '${path}': Could not open '${path}': No such file or directory`);
    const trouble = lockTrouble(image, wanted.write.includes(path) ? 'write' : 'read');
    if (trouble) return failed(`Could not open '${path}': ${trouble}`);
    images.push(image);
  }
  for (const [at, image] of images.entries()) {
    if (at < wanted.write.length) image.writer = holder;
    else image.readers.add(holder);
  }
  const finished = yield* work(images);
  for (const image of images) image.release(holder);
  return finished;
}

/** Whoever opens an image opens what it stands on. */
function chainTrouble({ shelf }: Invocation, path: string): Finished | null {
  const image = shelf.files.image(path);
  for (const lower of image ? shelf.chainOf(image).slice(1) : []) {
    const trouble = lockTrouble(lower, 'read');
    if (trouble) return failed(`Could not open '${path}': Could not open backing file: ${trouble}`);
  }
  return null;
}

/** `rebase`: the header changes last. With `-u` nothing else does. */
export function* rebase(invocation: Invocation): Work<Finished> {
  const { flags, named, surroundings } = invocation;
  const [path = ''] = named;
  const backing = backingIn(invocation, '-b');
  const locked = flags.has('-u') ? null : chainTrouble(invocation, path);
  if (locked) return locked;
  return yield* holding(invocation, { write: [path], read: [] }, function* ([image]) {
    if (!image) return ok();
    yield* slowly(surroundings);
    yield* pause(surroundings.chance, MAKE_MS, `rebases ${path}`);
    const trouble = flags.has('-u') ? null : yield* copyUp(invocation, image, backing);
    if (trouble) return trouble;
    image.backing = backing;
    return ok();
  });
}

function* copyUp(
  { shelf, surroundings }: Invocation,
  image: Image,
  backing: Backing | null,
): Work<Finished | null> {
  const lower = backing ? shelf.files.image(backing.path) : undefined;
  if (backing && !lower)
    return failed(`Could not open new backing file '${backing.path}': No such file or directory`);
  const trouble = lower && lockTrouble(lower, 'read');
  if (trouble) return failed(`Could not open new backing file '${lower.path}': ${trouble}`);
  for (let block = 0; block < BLOCKS; block += 1) {
    yield* pause(surroundings.chance, COPY_MS, `copies block ${block}`);
    const was = shelf.below(image)[block] ?? 0;
    const is = shelf.below({ backing })[block] ?? 0;
    const isThere = image.content[block] !== HOLE || was === is;
    if (isThere) continue;
    if (isOutOfSpace(surroundings)) return failed(`error while writing to the image: ${NO_SPACE}`);
    image.put(block, was);
  }
  return null;
}

const isOutOfSpace = ({ isFull, faults }: Invocation['surroundings']): boolean =>
  isFull() || faults.happens('copy-no-space');

/** `commit -d -b`: what the image and those between hold goes into the base. */
export function* commit(invocation: Invocation): Work<Finished> {
  const { shelf, surroundings, options, named } = invocation;
  const [path = ''] = named;
  const base = options.get('-b') ?? '';
  const top = shelf.files.image(path);
  const chain = top ? shelf.chainOf(top) : [];
  const end = chain.findIndex((image) => image.path === base);
  if (top && end < 0) return failed(`Did not find '${base}' in the backing chain of '${path}'`);
  const locked = chainTrouble(invocation, path);
  if (locked) return locked;
  const between = chain.slice(1, end).map((image) => image.path);
  return yield* holding(invocation, { write: [path, base], read: between }, function* () {
    yield* slowly(surroundings);
    const target = chain[end];
    for (let block = 0; block < BLOCKS; block += 1) {
      yield* pause(surroundings.chance, COPY_MS, `commits block ${block}`);
      const value = chain
        .slice(0, end)
        .map((image) => image.content[block] ?? HOLE)
        .find((one) => one !== HOLE);
      if (value === undefined) continue;
      if (isOutOfSpace(surroundings)) return failed(`Block job failed: ${NO_SPACE}`);
      target?.write(block, value);
    }
    return ok();
  });
}

/** `convert -n`: what one image holds goes into another that is there already. */
export function* convert(invocation: Invocation): Work<Finished> {
  const { shelf, surroundings, named } = invocation;
  const [from = '', to = ''] = named;
  const backing = backingIn(invocation, '-B');
  return yield* holding(invocation, { write: [to], read: [from] }, function* ([target, source]) {
    if (!source || !target) return ok();
    yield* slowly(surroundings);
    const below = shelf.below({ backing });
    for (let block = 0; block < BLOCKS; block += 1) {
      yield* pause(surroundings.chance, COPY_MS, `converts block ${block}`);
      if (isOutOfSpace(surroundings)) return failed(`error while writing at byte 0: ${NO_SPACE}`);
      const value = shelf.read(source)[block] ?? 0;
      if (!backing || value !== below[block]) target.put(block, value);
    }
    return ok();
  });
}

/** `map`: of an image alone when it is named with `backing: null`, else of all that is read through it. */
export function* map({ shelf, flags, named, surroundings }: Invocation): Work<Finished> {
  const [name = ''] = named;
  const path = fileNamed(name, flags.has('--image-opts'));
  yield* pause(surroundings.chance, READ_MS, `maps ${path}`);
  const image = shelf.files.image(path);
  if (!image) return failed(`Could not open '${name}': Could not open '${path}': No such file or directory`);
  const chain = name.startsWith('json:') ? [image] : shelf.chainOf(image);
  const extents = Array.from({ length: BLOCKS }, (_, block) => {
    const depth = chain.findIndex(({ content }) => content[block] !== HOLE);
    const isThere = depth >= 0;
    const at = { start: block * BLOCK_BYTES, length: BLOCK_BYTES, depth: Math.max(0, depth) };
    return { ...at, present: isThere, zero: !isThere, data: isThere };
  });
  return ok(`${json(extents)}\n`);
}

/** `compare`: 0 when both read the same, 1 when not. */
export function* compare({ shelf, named, surroundings }: Invocation): Work<Finished> {
  yield* pause(surroundings.chance, READ_MS, 'compares');
  const [one, other] = named.map((path) => shelf.files.image(path));
  if (!one || !other) return failed(`Could not open '${named.join("' or '")}': No such file or directory`, 2);
  return isSame(shelf.read(one), shelf.read(other)) ? ok() : { code: 1, stdout: '', stderr: '' };
}
