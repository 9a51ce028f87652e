import { z } from 'zod';
import type { World } from '#world';
import { isAnotherSocket, isSocketSince } from '../look/monitor-socket.ts';
import { troubleIn } from '../trouble.ts';

/*
 * What the sign of overlays that go down says beside being there: what lay at the monitor's path when that began, for
 * whoever starts the machine puts a new socket there; once nobody of ours writes below them, when that was written last; and
 * at last that a machine was started there since. So whoever comes after this process sees that, too.
 */

type Files = Pick<World, 'files'>;

export interface LastPush {
  /** Which socket, as `monitorSocket` tells; of a sign that does not say it, since when it is there, in ms since 1970. */
  readonly socket: string | { readonly laterThan: number };
  /** Of images that nobody of ours writes any more: when they were written last, in ms since 1970. By file. */
  readonly times: ReadonlyMap<string, number>;
  /** Whether a machine was started below since: nothing goes down any more, whatever the files' times say later. */
  readonly isOver: boolean;
}

/** Whether somebody has started the machine since that push began. */
export const isStartedSince = ({ socket }: LastPush, now: string): boolean =>
  typeof socket === 'string' ? isAnotherSocket(socket, now) : isSocketSince(now, socket.laterThan);

const LAST_PUSH = z.strictObject({
  socket: z.union([z.string(), z.strictObject({ laterThan: z.number() })]),
  times: z.array(z.tuple([z.string(), z.number()])),
  isOver: z.boolean(),
});

/** A name of 4096 bytes for each of some hundred disks. */
const SIGN_BYTES_MAX = 1_048_576;

/** What a sign says; who was to say it may have died meanwhile, or the disk be full. `madeAt` is when it was written last. */
export async function readLastPush({ files }: Files, sign: string, madeAt: number): Promise<LastPush> {
  const bytes = await files.start(sign, SIGN_BYTES_MAX);
  try {
    const said = LAST_PUSH.parse(JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array())));
    return { ...said, times: new Map(said.times) };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      return { socket: { laterThan: madeAt }, times: new Map(), isOver: false };
    }
    throw error;
  }
}

/**
 * Where there is a sign. When the host goes down the times themselves may be older than it of what could not be synced: then
 * layers are held that nobody has written, and that is better than written over.
 */
export async function writeLastPush(
  { files }: Files,
  sign: string,
  { times, ...said }: LastPush,
): Promise<void> {
  if ((await files.stat(sign)) === null) return;
  for (const file of times.keys()) await troubleIn(() => files.syncFile(file));
  await files.fill(sign, new TextEncoder().encode(JSON.stringify({ ...said, times: [...times] })));
  await files.syncFile(sign);
}

/** Before we write there again. */
export async function wipeLastPush({ files }: Files, sign: string): Promise<void> {
  const found = await files.stat(sign);
  if (found && found.sizeBytes > 0) await files.fill(sign, new Uint8Array());
}
