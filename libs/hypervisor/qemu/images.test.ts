import { expect, test } from 'vitest';
import { type Finished, realWorld } from '#world';
import { NotNow } from '../not-now.ts';
import { Images } from './images.ts';

/** An image of which qemu-img says this. */
function imagesOf(finished: Partial<Finished>) {
  const asked: string[] = [];
  const images = new Images({
    run: async (_, args) => {
      asked.push(args.join(' '));
      return { code: 0, stdout: '', stderr: '', ...finished };
    },
    files: { stat: async () => null } as never,
    clock: realWorld().clock,
    fault: async () => undefined,
  });
  return { images, asked };
}

const AT = { file: '/i/top,one.qcow2', format: 'qcow2' };
const extentOf = (present: boolean): string =>
  JSON.stringify([{ start: 0, length: 65_536, depth: 0, present, zero: true, data: false }]);

test('an image is empty when nothing of it is its own, whatever it stands on', async () => {
  const { images, asked } = imagesOf({ stdout: extentOf(false) });
  expect(await images.isEmpty(AT)).toBe(true);
  expect(asked.join()).toContain('"backing":null');
  expect(asked.join()).toContain('"filename":"/i/top,one.qcow2"');
  expect(await imagesOf({ stdout: extentOf(true) }).images.isEmpty(AT)).toBe(false);
});

test('an image with more pieces than we can read of is not empty, and nobody asks again for ever', async () => {
  const pieces = extentOf(true).repeat(100);
  const { images } = imagesOf({ code: null, stdout: pieces, stderr: 'stdout maxBuffer length exceeded' });
  expect(await images.isEmpty(AT)).toBe(false);
});

test('nobody knows whether an image is empty that qemu-img cannot read, or was killed over', async () => {
  expect(
    await imagesOf({ code: 1, stderr: 'qemu-img: Image is not in qcow2 format' }).images.isEmpty(AT),
  ).toBeNull();
  await expect(imagesOf({ code: null, stderr: 'killed' }).images.isEmpty(AT)).rejects.toThrow(NotNow);
});
