import { FORMAT_BYTES_MAX, L1_BYTES_MAX, MAGIC, NAME_BYTES_MAX, SECTOR_BYTES, VERSION } from './header.ts';
import { ENTRY_BYTES, EXTENSION, EXTENSION_HEADER_BYTES } from './header.ts';
import type { ImageAt } from './image.ts';

/* A new qcow2 image, as `qemu-img create` makes it when it is told nothing but a size and what to stand on. */

const CLUSTER_BITS = 16;
const CLUSTER_BYTES = 2 ** CLUSTER_BITS;
/** How much of the disk one entry of the first-level table stands for. */
const BYTES_PER_ENTRY = CLUSTER_BYTES * (CLUSTER_BYTES / ENTRY_BYTES);
/** QEMU writes the way of compression as well, and fills up to eight bytes. */
const HEADER_BYTES = 112;
/** Two bytes a refcount: one block of them counts far more clusters than the largest table takes. */
const REFCOUNT_ORDER = 4;
/** Where things lie, in clusters: the header, the refcount table, one block of refcounts, the first-level table. */
const AT = { refcountTable: 1, refcounts: 2, l1: 3 } as const;

/**
 * All the bytes of an image that holds nothing; null when qemu-img has to say why it cannot be, or to make it in another
 * way. What the file would be about lies in its first 4 KiB: however little of it was written, in this order, it is
 * either empty or an image that holds nothing.
 */
export function blankImage(sizeBytes: number, backing: ImageAt | null): Uint8Array | null {
  const roundedBytes = Math.ceil(sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
  const l1Entries = Math.ceil(roundedBytes / BYTES_PER_ENTRY);
  const l1Bytes = l1Entries * ENTRY_BYTES;
  if (!Number.isSafeInteger(roundedBytes) || sizeBytes <= 0 || l1Bytes > L1_BYTES_MAX) return null;
  const bytes = new Uint8Array(AT.l1 * CLUSTER_BYTES + l1Bytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, VERSION);
  view.setUint32(20, CLUSTER_BITS);
  view.setBigUint64(24, BigInt(roundedBytes));
  view.setUint32(36, l1Entries);
  view.setBigUint64(40, BigInt(AT.l1 * CLUSTER_BYTES));
  view.setBigUint64(48, BigInt(AT.refcountTable * CLUSTER_BYTES));
  view.setUint32(56, 1); // Clusters of the refcount table.
  view.setUint32(96, REFCOUNT_ORDER);
  view.setUint32(100, HEADER_BYTES);
  if (backing && !stand(bytes, view, backing)) return null;
  view.setBigUint64(AT.refcountTable * CLUSTER_BYTES, BigInt(AT.refcounts * CLUSTER_BYTES));
  const usedClusters = AT.l1 + Math.ceil(l1Bytes / CLUSTER_BYTES);
  for (let n = 0; n < usedClusters; n += 1) view.setUint16(AT.refcounts * CLUSTER_BYTES + 2 * n, 1);
  return bytes;
}

/** Names what the image stands on; false when a header cannot. */
function stand(bytes: Uint8Array, view: DataView, { file, format }: ImageAt): boolean {
  const [name, said] = [new TextEncoder().encode(file), new TextEncoder().encode(format)];
  if (!file.startsWith('/') || name.length > NAME_BYTES_MAX || said.length > FORMAT_BYTES_MAX) return false;
  view.setUint32(HEADER_BYTES, EXTENSION.backingFormat);
  view.setUint32(HEADER_BYTES + 4, said.length);
  bytes.set(said, HEADER_BYTES + EXTENSION_HEADER_BYTES);
  // Eight zeros behind it end the extensions.
  const at = HEADER_BYTES + EXTENSION_HEADER_BYTES + Math.ceil(said.length / 8) * 8 + EXTENSION_HEADER_BYTES;
  view.setBigUint64(8, BigInt(at));
  view.setUint32(16, name.length);
  bytes.set(name, at);
  return true;
}
