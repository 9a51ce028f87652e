import { Image } from './image.ts';

/* What QEMU would make of the bytes of a new qcow2 image (docs/interop/qcow2.txt). */

const MAGIC = 'QFI\xfb';
const BACKING_FORMAT = 0xe2792aca;

export const isImage = (bytes: Uint8Array): boolean => Buffer.from(bytes).toString('latin1', 0, 4) === MAGIC;

/** An image that holds nothing. Throws when QEMU would not open it, or would find something in it. */
export function writtenImage(path: string, bytes: Uint8Array): Image {
  const buffer = Buffer.from(bytes);
  const [l1Entries, l1At] = [buffer.readUInt32BE(36), Number(buffer.readBigUInt64BE(40))];
  if (buffer.subarray(l1At, l1At + 8 * l1Entries).some((byte) => byte !== 0))
    throw new Error(`what is written into ${path} holds something already`);
  const virtualSizeBytes = Number(buffer.readBigUInt64BE(24));
  const [at, length] = [Number(buffer.readBigUInt64BE(8)), buffer.readUInt32BE(16)];
  if (at === 0) return new Image(path, 'qcow2', { virtualSizeBytes, backing: null });
  const backing = { path: buffer.toString('utf8', at, at + length), format: formatIn(buffer) };
  return new Image(path, 'qcow2', { virtualSizeBytes, backing });
}

/** Of what it stands on; ours is the first extension of the header. */
function formatIn(buffer: Buffer): string {
  const at = buffer.readUInt32BE(100);
  if (buffer.readUInt32BE(at) !== BACKING_FORMAT) throw new Error('QEMU would have to guess a format');
  return buffer.toString('utf8', at + 8, at + 8 + buffer.readUInt32BE(at + 4));
}
