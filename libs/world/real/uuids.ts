import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

/** `v7` itself asks the kernel for chance at every id, which costs more than all the rest of it. */
const POOL_BYTES = 4096;
const ID_BYTES = 16;
/** A UUIDv7 counts within a millisecond with 32 bits. Each begins in the lower half, so that it never overflows. */
const FIRST_MAX = 0x7fff_ffff;

/** A source of UUIDv7s that only go up, whatever the clock does. */
export function uuids(now: () => number): () => string {
  const pool = new Uint8Array(POOL_BYTES);
  let at = POOL_BYTES;
  let msecs = 0;
  let seq = 0;
  return () => {
    if (at === POOL_BYTES) {
      randomFillSync(pool);
      at = 0;
    }
    const random = pool.subarray(at, at + ID_BYTES);
    at += ID_BYTES;
    const ms = now();
    if (ms > msecs) {
      msecs = ms;
      seq = new DataView(random.buffer, random.byteOffset).getUint32(0) & FIRST_MAX;
    } else {
      seq += 1;
    }
    return v7({ random, msecs, seq });
  };
}
