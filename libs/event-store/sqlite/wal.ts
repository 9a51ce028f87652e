import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * The file format of sqlite.org/fileformat2.html#walformat, big-endian:
 *
 *   header, 32 bytes: magic, version, page size, checkpoint number, salt (8 bytes), checksum of these (8 bytes)
 *   frame, 24 bytes + a page: page number, pages after the commit or 0, salt (8 bytes), checksum (8 bytes)
 *
 * A frame counts when its salt is the header's and its checksum, carried on from the one before, is right.
 */
const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x37_7f_06_82; // The last bit tells the byte order of the words that are summed.
const PAGE_BYTES_MAX = 65_536;

/** A running checksum: two 32-bit sums. */
interface Sum {
  readonly a: number;
  readonly b: number;
}

type Word = (bytes: Buffer, offset: number) => number;

/**
 * Why a write-ahead log cannot be believed, in words; null when it is whole, or torn at its end.
 *
 * SQLite silently forgets everything after the first bad frame, because a crash may tear the commit that was
 * being written. But each commit is on disk before the next one begins: where commits follow the bad frame's
 * own, it was written once and has been altered since, and acknowledged events would be lost without a word.
 */
export function walDamage(path: string): string | null {
  if (!existsSync(path)) return null;
  const descriptor = openSync(path, 'r');
  try {
    return damageIn(descriptor, fstatSync(descriptor).size);
  } finally {
    closeSync(descriptor);
  }
}

function damageIn(descriptor: number, sizeBytes: number): string | null {
  const header = Buffer.alloc(HEADER_BYTES);
  readSync(descriptor, header, 0, HEADER_BYTES, 0);
  if (sizeBytes < HEADER_BYTES || header.every((byte) => byte === 0)) return null; // Died before its first commit.
  const word: Word = header[3] === (MAGIC & 0xff) ? little : big;
  const sum = summed(header.subarray(0, 24), { a: 0, b: 0 }, word);
  const pageBytes = header.readUInt32BE(8);
  const isWal = (header.readUInt32BE(0) & ~1) >>> 0 === MAGIC && pageBytes <= PAGE_BYTES_MAX;
  if (!isWal || !isSum(header, 24, sum)) return 'its write-ahead log does not begin like one';
  return commitsAfterBreak(descriptor, {
    sizeBytes,
    header,
    sum,
    word,
    frameBytes: FRAME_HEADER_BYTES + pageBytes,
  }) > 1
    ? 'commits follow a bad frame in its write-ahead log'
    : null;
}

interface Frames {
  readonly sizeBytes: number;
  readonly header: Buffer;
  readonly sum: Sum;
  readonly word: Word;
  readonly frameBytes: number;
}

/** How many commits stand after the first frame that does not count. */
function commitsAfterBreak(descriptor: number, { sizeBytes, header, sum, word, frameBytes }: Frames): number {
  const frame = Buffer.alloc(frameBytes);
  let running: Sum | null = sum;
  let commits = 0;
  for (let offset = HEADER_BYTES; offset + frameBytes <= sizeBytes; offset += frameBytes) {
    readSync(descriptor, frame, 0, frameBytes, offset);
    const isOurs = frame.compare(header, 16, 24, 8, 16) === 0;
    if (running) running = isOurs ? followed(frame, running, word) : null;
    if (!running && isOurs && frame.readUInt32BE(4) !== 0) commits += 1;
  }
  return commits;
}

/** The checksum after a frame; null when it is not the frame's. */
function followed(frame: Buffer, before: Sum, word: Word): Sum | null {
  const sum = summed(frame.subarray(FRAME_HEADER_BYTES), summed(frame.subarray(0, 8), before, word), word);
  return isSum(frame, 16, sum) ? sum : null;
}

const little: Word = (bytes, offset) => bytes.readUInt32LE(offset);
const big: Word = (bytes, offset) => bytes.readUInt32BE(offset);

function summed(bytes: Buffer, { a, b }: Sum, word: Word): Sum {
  for (let offset = 0; offset < bytes.length; offset += 8) {
    a = (a + word(bytes, offset) + b) >>> 0;
    b = (b + word(bytes, offset + 4) + a) >>> 0;
  }
  return { a, b };
}

const isSum = (bytes: Buffer, offset: number, { a, b }: Sum): boolean =>
  bytes.readUInt32BE(offset) === a && bytes.readUInt32BE(offset + 4) === b;
