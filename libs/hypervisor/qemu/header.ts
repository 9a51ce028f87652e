import type { ImageInfo } from '#qmp';
import { type Files, FileTrouble } from '#world';
import type { ImageAt } from './image.ts';

/* The beginning of a qcow2 image (QEMU's docs/interop/qcow2.txt): all numbers are big-endian. */

/** Where QEMU puts what an image of its own making says of itself. One that says more is qemu-img's to read. */
const HEADER_BYTES_MAX = 4_096;

export const MAGIC = 0x51_46_49_fb; // "QFI" and 0xfb.
export const VERSION = 3;
/** Up to `header_length`, which every image of this version has; the way of compression follows it. */
const FIXED_BYTES = 104;
const CLUSTER_BITS = { min: 9, max: 21 } as const;
const REFCOUNT_ORDER_MAX = 6;
export const NAME_BYTES_MAX = 1_023;
export const ENTRY_BYTES = 8;
/** QEMU counts in these, and leaves out what is left over. */
export const SECTOR_BYTES = 512;
/** Larger tables QEMU does not open. */
export const L1_BYTES_MAX = 32 * 1024 * 1024;
const REFCOUNT_TABLE_BYTES_MAX = 8 * 1024 * 1024;
export const FORMAT_BYTES_MAX = 15;

export const EXTENSION = { end: 0, backingFormat: 0xe2_79_2a_ca, featureNames: 0x68_03_f8_57 } as const;
export const EXTENSION_HEADER_BYTES = 8;

/**
 * What a header says, in the words of `qemu-img info`; null when it says less than everything, or nothing that could
 * be relied on: of an image with snapshots, bitmaps, encryption, a data file of its own, features that we do not know,
 * or a backing file that is not named by an absolute path.
 */
function headerOf(bytes: Uint8Array, file: string): ImageInfo | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FIXED_BYTES + EXTENSION_HEADER_BYTES || !isPlain(view) || !hasTables(view)) return null;
  const backing = backingIn(bytes, view);
  const end = backing?.at ?? Math.min(bytes.length, 2 ** view.getUint32(20));
  const extensions = extensionsIn(bytes, view, end);
  if (backing === undefined || extensions === null) return null;
  return {
    file,
    format: 'qcow2',
    virtualSizeBytes: Number(view.getBigUint64(24)),
    snapshots: [],
    backingFile: backing?.name ?? null,
    backingFormat: extensions.backingFormat,
  };
}

/** The same of a file. Null also when it cannot be read, for qemu-img can tell why. */
export async function readHeader(files: Files, { file, format }: ImageAt): Promise<ImageInfo | null> {
  if (format !== 'qcow2') return null;
  try {
    const start = await files.start(file, HEADER_BYTES_MAX);
    return start && headerOf(start, file);
  } catch (error) {
    if (error instanceof FileTrouble) return null;
    throw error;
  }
}

/** No encryption, no snapshots, the first way of compression, and no feature that changes what the rest means. */
const isPlain = (view: DataView): boolean =>
  view.getUint32(0) === MAGIC &&
  view.getUint32(4) === VERSION &&
  view.getUint32(32) === 0 &&
  view.getUint32(60) === 0 &&
  view.getBigUint64(72) === 0n &&
  view.getBigUint64(88) === 0n &&
  (view.getUint32(100) <= FIXED_BYTES || view.getUint8(FIXED_BYTES) === 0);

/** Whether the tables lie where tables can lie: QEMU opens no other image. */
function hasTables(view: DataView): boolean {
  const clusterBits = view.getUint32(20);
  if (clusterBits < CLUSTER_BITS.min || clusterBits > CLUSTER_BITS.max) return false;
  const clusterBytes = 2 ** clusterBits;
  const sizeBytes = Number(view.getBigUint64(24));
  const entriesMin = Math.ceil(sizeBytes / (clusterBytes * (clusterBytes / ENTRY_BYTES)));
  const isAt = (offset: number): boolean => {
    const at = Number(view.getBigUint64(offset));
    return at > 0 && Number.isSafeInteger(at) && at % clusterBytes === 0;
  };
  return (
    Number.isSafeInteger(sizeBytes) &&
    sizeBytes % SECTOR_BYTES === 0 &&
    view.getUint32(36) >= entriesMin &&
    isAt(40) &&
    isAt(48) &&
    (view.getBigUint64(64) === 0n || isAt(64)) &&
    hasSizes(view, clusterBytes)
  );
}

/** Whether the tables are as large as tables can be. */
const hasSizes = (view: DataView, clusterBytes: number): boolean =>
  view.getUint32(36) * ENTRY_BYTES <= L1_BYTES_MAX &&
  view.getUint32(56) > 0 &&
  view.getUint32(56) * clusterBytes <= REFCOUNT_TABLE_BYTES_MAX &&
  view.getUint32(96) <= REFCOUNT_ORDER_MAX;

/** Null when there is none, undefined when only qemu-img can tell. */
function backingIn(bytes: Uint8Array, view: DataView): { at: number; name: string } | null | undefined {
  const at = Number(view.getBigUint64(8));
  const length = view.getUint32(16);
  if (at === 0) return null;
  const end = Math.min(bytes.length, 2 ** view.getUint32(20)); // All of it must lie in the first cluster.
  if (length === 0 || length > NAME_BYTES_MAX || at + length > end) return undefined;
  const name = textIn(bytes, at, length);
  return name?.startsWith('/') ? { at, name } : undefined;
}

/** Null when there is one that we do not know, or no end to them. */
function extensionsIn(
  bytes: Uint8Array,
  view: DataView,
  end: number,
): { readonly backingFormat: string | null } | null {
  let backingFormat: string | null = null;
  for (let at = view.getUint32(100); at + EXTENSION_HEADER_BYTES <= end;) {
    if (at < FIXED_BYTES) return null;
    const [type, length] = [view.getUint32(at), view.getUint32(at + 4)];
    const from = at + EXTENSION_HEADER_BYTES;
    if (from + length > end) return null;
    if (type === EXTENSION.end) return { backingFormat };
    if (type === EXTENSION.backingFormat) {
      backingFormat = length > FORMAT_BYTES_MAX ? null : textIn(bytes, from, length);
      if (!backingFormat) return null;
    } else if (type !== EXTENSION.featureNames) return null;
    at = from + Math.ceil(length / 8) * 8;
  }
  return null;
}

/** Null when it is no UTF-8, or not only text. */
function textIn(bytes: Uint8Array, at: number, length: number): string | null {
  const text = new TextDecoder().decode(bytes.subarray(at, at + length));
  return text.includes('\uFFFD') || text.includes('\0') ? null : text;
}
