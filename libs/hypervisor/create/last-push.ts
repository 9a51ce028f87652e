import { z } from 'zod';
import type { World } from '#world';

/*
 * What the sign of overlays that go down says beside being there: when what lies below them was written last by us. It
 * is said when QEMU is gone, so that whoever comes after this process sees, too, that a machine was started there since.
 */

type Files = Pick<World, 'files'>;

/** By file, in ms since 1970. */
type Times = ReadonlyMap<string, number>;

const TIMES = z.array(z.tuple([z.string(), z.number()]));

/** A name of 4096 bytes for each of some hundred disks. */
const SIGN_BYTES_MAX = 1_048_576;

/** What a sign says; null when it says nothing, or when whoever was to say it died meanwhile. */
export async function timesIn({ files }: Files, sign: string): Promise<Times | null> {
  const bytes = await files.start(sign, SIGN_BYTES_MAX);
  try {
    return new Map(TIMES.parse(JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array()))));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}

/** Where there is a sign. The times themselves must not be older than it when the host goes down. */
export async function writeTimes({ files }: Files, sign: string, times: Times): Promise<void> {
  if ((await files.stat(sign)) === null) return;
  for (const file of times.keys()) await files.syncFile(file);
  await files.fill(sign, new TextEncoder().encode(JSON.stringify([...times])));
}

/** Before we write there again. */
export async function wipeTimes({ files }: Files, sign: string): Promise<void> {
  const found = await files.stat(sign);
  if (found && found.sizeBytes > 0) await files.fill(sign, new Uint8Array());
}
