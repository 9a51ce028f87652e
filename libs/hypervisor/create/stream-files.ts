import { posix } from 'node:path';
import { Refusal, type SnapshotMemory } from '#ledger';
import type { Errand } from '../errand.ts';
import type { Start } from '../journal.ts';
import { bearsName, draftOf, isStrange, type NamedFile } from '../qemu/named-files.ts';
import { requireSocketPath } from '../qemu/paths.ts';
import type { Place } from '../place.ts';
import type { Sight } from '../look/sight.ts';

/* The files of memory that is a stream, and the sockets that it comes and goes through. */

type StreamFile = NonNullable<Start['memoryFile']>;

/** What is written to until all of it is there: only a whole stream bears the name that the log knows. */
export function unfinishedOf(snapshotId: string, memoryFile: NamedFile): string {
  const draft = draftOf(snapshotId, memoryFile);
  return draft === memoryFile.file ? `${draft}.part` : draft;
}

/**
 * A machine that stands still could only be given its images back by letting it run.
 *
 * @throws {Refusal} `unsupported`, `path-not-allowed`
 */
export function requireStreamable({ place, operationId }: Errand, { power }: Sight): void {
  if (place.socketsDir === null) {
    const words = 'this worker has no directory for sockets: save the memory as a state file';
    throw new Refusal('unsupported', words);
  }
  requireSocketPath(socketOf(place, operationId));
  if (power === 'running') return;
  throw new Refusal(
    'unsupported',
    'the memory of a machine that stands still cannot be saved as a stream without letting it run: save it as a state file',
  );
}

/** Where one operation's stream comes in or goes out. Nobody else reaches it. */
export const socketOf = ({ socketsDir }: Pick<Place, 'socketsDir'>, operationId: string): string =>
  posix.join(socketsDir ?? '', `${operationId}.sock`);

/** Does the work with a path at which a socket can be made that nobody else reaches. */
export async function whileSocketIsFree(
  { place, operationId }: Errand,
  work: (socket: string) => Promise<void>,
): Promise<void> {
  const { files } = place.world;
  const socket = socketOf(place, operationId);
  await files.makePrivateDirectory(posix.dirname(socket));
  await files.unlink(socket);
  try {
    await work(socket);
  } finally {
    await files.unlink(socket); // Of whoever dies before, the next try removes it.
  }
}

/** The memory that a capture has come to; null when not all of it was received. Throws `FileTrouble`. */
export async function streamFound(
  errand: Errand,
  { snapshotId, memory: mode }: Pick<Start, 'snapshotId' | 'memory'>,
  { memoryFile, isBegun }: { memoryFile: StreamFile; isBegun: boolean },
): Promise<SnapshotMemory | null> {
  const { place, memory, operationId } = errand;
  const { files, streams } = place.world;
  const { file, format } = memoryFile;
  const unfinished = unfinishedOf(snapshotId ?? '', memoryFile);
  if (isStrange(errand, file) || (await files.stat(unfinished)) !== null) return null;
  const found = await files.stat(file);
  if (found === null || found.sizeBytes === 0) return null; // Its name is taken before it is given to the stream.
  const streamed = memory.streamed.get(operationId);
  // Where nothing else was captured, what lies at a caller's name may be anybody's.
  if (!streamed && !isBegun && !bearsName(file, snapshotId ?? '')) return null;
  const { sizeBytes, sha256 } = streamed ?? (await streams.measure(file));
  return { mode, file, format, sizeBytes, sha256 };
}

/**
 * A stream that is, byte for byte, what was saved.
 *
 * @throws {Refusal} `snapshot-damaged`
 */
export async function requireStream({ world }: Pick<Place, 'world'>, memory: SnapshotMemory): Promise<void> {
  const { file = '', sizeBytes, sha256 } = memory;
  const found = await world.files.stat(file);
  if (!found) throw new Refusal('snapshot-damaged', `the file ${file} is gone`);
  if (found.sizeBytes !== sizeBytes) {
    const words = `${file} has ${found.sizeBytes} bytes, and should have ${sizeBytes ?? 'none'}`;
    throw new Refusal('snapshot-damaged', words);
  }
  const measure = await world.streams.measure(file);
  if (measure.sha256 === sha256) return;
  throw new Refusal('snapshot-damaged', `${file} is not what was saved: its SHA-256 is ${measure.sha256}`);
}
