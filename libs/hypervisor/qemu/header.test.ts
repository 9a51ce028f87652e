/* Does what we read of an image say what qemu-img says? Only then may nobody start a program for it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { realWorld } from '#world';
import { Images } from './images.ts';

const dir = mkdtempSync(join(tmpdir(), 'snapledger-header-'));
let made = 0;

afterAll(() => rmSync(dir, { recursive: true }));

const hasTool = spawnSync('qemu-img', ['--version']).status === 0;

/** A new image, made by qemu-img. */
function image(...options: readonly string[]): string {
  made += 1;
  const file = join(dir, `${made},x.qcow2`);
  tool('create', '-q', '-f', 'qcow2', ...options, file, '8M');
  return file;
}

const tool = (...args: readonly string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

/** What is seen of an image, and how often qemu-img was started for it. */
async function seen(file: string) {
  const world = realWorld();
  let startsCount = 0;
  const run: typeof world.run = (...call) => {
    startsCount += 1;
    return world.run(...call);
  };
  const { files } = world;
  const by = async (read: typeof files.start) =>
    new Images({ ...world, run, files: { ...files, start: read } }).info({ file, format: 'qcow2' }, 'shared');
  const readHere = await by(files.start);
  const started = startsCount;
  return { readHere, started, readByTool: await by(async () => null) };
}

const base = (): string => image();

/** Ours to read: what QEMU makes for us. */
const PLAIN: Readonly<Record<string, () => string>> = {
  'an image on nothing': () => image(),
  'an overlay': () => image('-b', base(), '-F', 'qcow2'),
  'an overlay on a raw file': () => image('-b', raw(), '-F', 'raw'),
  'an overlay on what is not there': () => image('-u', '-b', '/nowhere/ä b,c.qcow2', '-F', 'qcow2'),
  'small clusters': () => image('-o', 'cluster_size=512'),
  'large clusters': () => image('-o', 'cluster_size=2M'),
  'narrow refcounts': () => image('-o', 'refcount_bits=1'),
  'lazy refcounts': () => image('-o', 'lazy_refcounts=on'),
  'space taken before': () => image('-o', 'preallocation=metadata'),
  'one whose snapshot is gone': () => changed(image(), ['snapshot', '-c', 'a'], ['snapshot', '-d', 'a']),
  'one that was put elsewhere': () => rebased(image('-b', base(), '-F', 'qcow2'), base()),
  'one that was put on nothing': () => rebased(image('-b', base(), '-F', 'qcow2'), ''),
  'one that was made larger': () => (tool('resize', '-q', '-f', 'qcow2', image(), '+1G'), lastImage()),
};

/** qemu-img's to read, or to refuse. */
const STRANGE: Readonly<Record<string, () => string>> = {
  'one with a snapshot': () => changed(image(), ['snapshot', '-c', 'a']),
  'one with a bitmap': () => bitmapped(image()),
  'an old version': () => image('-o', 'compat=0.10'),
  'an overlay on a relative path': () => image('-u', '-b', 'x.qcow2', '-F', 'qcow2'),
  'an overlay on a protocol': () => image('-u', '-b', 'nbd://localhost:1/x', '-F', 'raw'),
  'an overlay on JSON': () =>
    image('-u', '-b', 'json:{"driver":"qcow2","file":{"driver":"file","filename":"/x"}}', '-F', 'qcow2'),
  'a data file of its own': () => image('-o', `data_file=${join(dir, `data-${made}`)}`),
  'another compression': () => image('-o', 'compression_type=zstd'),
  'large tables': () => image('-o', 'extended_l2=on'),
  'no image at all': () => raw(),
  'an empty file': () => written(image(), { truncatedTo: 0 }),
  'half a header': () => written(image(), { truncatedTo: 50 }),
  'another magic': () => written(image(), { at: 0 }),
  'a version of the future': () => written(image(), { at: 4 }),
  'clusters of no size': () => written(image(), { at: 20 }),
  'a size beyond its table': () => written(image(), { at: 26 }),
  'a table between clusters': () => written(image(), { at: 46 }),
  'a refcount table between clusters': () => written(image(), { at: 54 }),
  encryption: () => written(image(), { at: 35 }),
  'a feature of the future': () => written(image(), { at: 72 }),
  'a size that is no number of sectors': () => written(image(), { at: 31 }),
  'a table larger than any': () => written(image(), { at: 36 }),
  'a refcount table larger than any': () => written(image(), { at: 56 }),
  'snapshots between clusters': () => written(image(), { at: 71 }),
  'a compression that nobody named': () => written(image(), { at: 104 }),
  'a format that is too long': () => written(image('-b', base(), '-F', 'qcow2'), { at: 119 }),
  'a format that is no text': () => written(image('-b', base(), '-F', 'qcow2'), { at: 119, byte: 7 }),
  'an extension of the future': () => written(image('-b', base(), '-F', 'qcow2'), { at: 113 }),
  'a backing file far away': () => written(image('-b', base(), '-F', 'qcow2'), { at: 12 }),
  'a directory': () => dir,
  'a link to nothing': () => (symlinkSync('/nowhere', join(dir, 'link')), join(dir, 'link')),
  nothing: () => join(dir, 'nothing'),
};

const lastImage = (): string => join(dir, `${made},x.qcow2`);

function raw(): string {
  const file = join(dir, `${(made += 1)}.raw`);
  tool('create', '-q', '-f', 'raw', file, '1M');
  return file;
}

function changed(file: string, ...changes: readonly (readonly string[])[]): string {
  for (const change of changes) tool(...change, file);
  return file;
}

function rebased(file: string, onto: string): string {
  tool('rebase', '-u', '-f', 'qcow2', '-b', onto, ...(onto === '' ? [] : ['-F', 'qcow2']), file);
  return file;
}

function bitmapped(file: string): string {
  tool('bitmap', '--add', '-f', 'qcow2', file, 'b');
  return file;
}

interface Change {
  readonly at?: number;
  readonly byte?: number;
  readonly truncatedTo?: number;
}

function written(file: string, { at, byte = 0x31, truncatedTo }: Change): string {
  if (truncatedTo !== undefined) truncateSync(file, truncatedTo);
  if (at !== undefined) {
    const opened = openSync(file, 'r+');
    writeSync(opened, Buffer.from([byte]), 0, 1, at);
    closeSync(opened);
  }
  return file;
}

describe.runIf(hasTool)('what an image says of itself', () => {
  test.each(Object.keys(PLAIN))('is read here, and is what qemu-img says: %s', async (what) => {
    const { readHere, started, readByTool } = await seen(PLAIN[what]?.() ?? '');
    expect(started).toBe(0);
    expect(readHere).toEqual(readByTool);
    expect(readHere.kind).toBe('seen');
  });

  test.each(Object.keys(STRANGE))('is left to qemu-img: %s', async (what) => {
    const { readHere, started, readByTool } = await seen(STRANGE[what]?.() ?? '');
    expect(started).toBe(1);
    expect(readHere).toEqual(readByTool);
  });
});
