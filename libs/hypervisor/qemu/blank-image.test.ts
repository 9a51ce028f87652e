/* Is what we write as a new image what qemu-img would write? Only then may nobody start a program for it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { realWorld } from '#world';
import { blankImage } from './blank-image.ts';
import { type ImageAt, Images } from './images.ts';

const dir = mkdtempSync(join(tmpdir(), 'snapledger-blank-'));
const MIB = 1024 ** 2;
const TIB = 1024 ** 4;
const CLUSTER_BYTES = 65_536;

afterAll(() => rmSync(dir, { recursive: true }));

const hasTool = spawnSync('qemu-img', ['--version']).status === 0;

const tool = (...args: readonly string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

let made = 0;
const newFile = (): string => join(dir, `${(made += 1)}, x.qcow2`);

const RAW: ImageAt = { file: join(dir, 'ä b,c.raw'), format: 'raw' };
const LAYER: ImageAt = { file: join(dir, 'base.qcow2'), format: 'qcow2' };
const LONG: ImageAt = { file: `/${'x'.repeat(1022)}`, format: 'qcow2' };

/** By us, and by qemu-img. */
async function both(sizeBytes: number, backing: ImageAt | null): Promise<readonly [string, string]> {
  const [ours, theirs] = [newFile(), newFile()];
  let startsCount = 0;
  const world = realWorld();
  const run: typeof world.run = (...call) => ((startsCount += 1), world.run(...call));
  await new Images({ ...world, run }).create({ file: ours, format: 'qcow2' }, sizeBytes, backing);
  expect(startsCount).toBe(0);
  const below = backing ? ['-u', '-b', backing.file, '-F', backing.format] : [];
  tool('create', '-q', '-f', 'qcow2', ...below, theirs, String(sizeBytes));
  return [ours, theirs];
}

const told = (file: string): unknown => {
  const {
    filename: _,
    'actual-size': __,
    ...rest
  } = JSON.parse(tool('info', '-U', '--output=json', file)) as Record<string, unknown>;
  return rest;
};

/** All but the header's extensions and what lies behind them: there QEMU keeps the names of features. */
function tables(file: string): readonly Buffer[] {
  const bytes = readFileSync(file);
  const fixed = Buffer.concat([bytes.subarray(0, 8), bytes.subarray(16, 112)]); // Without where the name lies.
  return [fixed, bytes.subarray(CLUSTER_BYTES)];
}

describe.skipIf(!hasTool)('an image of our own making', () => {
  test.each([
    ['of the size of a state file', MIB, null],
    ['of an odd size', 513, null],
    ['on a layer', 64 * MIB, LAYER],
    ['on a raw file of a strange name', 8 * MIB, RAW],
    ['on the longest name', 8 * MIB, LONG],
    ['whose first-level table takes more than a cluster', 5 * TIB, LAYER],
  ])('%s is what qemu-img makes, and sound', async (_, sizeBytes, backing) => {
    writeFileSync(RAW.file, Buffer.alloc(MIB));
    tool('create', '-q', '-f', 'qcow2', LAYER.file, '64M');
    const [ours, theirs] = await both(sizeBytes, backing);
    expect(told(ours)).toEqual(told(theirs));
    expect(tables(ours)).toEqual(tables(theirs));
    if (backing !== LONG) expect(tool('check', ours)).toMatch(/^No errors were found/);
  });

  test('cut off where its writer died is empty, or an image that holds nothing', async () => {
    const bytes = blankImage(64 * MIB, LAYER) ?? new Uint8Array();
    const images = new Images(realWorld());
    for (let cutBytes = 4096; cutBytes < bytes.length; cutBytes += 48 * 1024) {
      const at = { file: newFile(), format: 'qcow2' };
      writeFileSync(at.file, bytes.subarray(0, cutBytes));
      expect(await images.isEmpty(at)).toBe(true);
      expect(await images.info(at, 'shared')).toMatchObject({ info: { backingFile: LAYER.file } });
    }
  });
});

test.each([
  ['nothing', 0, null],
  ['more than any image holds', 2 ** 62, null],
  ['what is named from where somebody stands', MIB, { file: 'base.qcow2', format: 'qcow2' }],
  ['a name that no header holds', MIB, { file: `/${'x'.repeat(1023)}`, format: 'qcow2' }],
])('an image of %s is left to qemu-img', (_, sizeBytes, backing) => {
  expect(blankImage(sizeBytes, backing)).toBeNull();
});
