import { posix } from 'node:path';
import {
  type Migrate,
  type Migration,
  type Monitor,
  parseMigration,
  parseMigrationLimits,
  QmpRefused,
  type SetMigrationLimits,
} from '#qmp';
import { ConnectTrouble, type Measure, type Receiving } from '#world';
import {
  JOB_BYTES_PER_MS,
  JOB_TIMEOUT_MS,
  LOOK_TIMEOUT_MS,
  MIGRATION_AGAIN_MAX_MS,
  MIGRATION_AGAIN_MS,
  MIGRATION_END_TIMEOUT_MS,
  POWER_TIMEOUT_MS,
} from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { pass } from '../fault-points.ts';
import type { Start } from '../journal.ts';
import { isMigrating, runStateThroughMonitor } from '../look/look-through-monitor.ts';
import { memoryBytes } from '../look/machine-config.ts';
import { NotNow } from '../not-now.ts';
import { powerNow } from '../look/observe.ts';
import type { Place } from '../place.ts';
import { takeNames } from '../qemu/named-files.ts';
import { letRunOn } from '../qemu/power.ts';
import { socketOf, unfinishedOf } from './stream-files.ts';
import { Thwarted, troubleIn } from '../trouble.ts';

/*
 * Memory as a stream: QEMU migrates into a socket of ours, and what comes is kept in a file. The machine stands still
 * meanwhile. QEMU lets go of its images at the end (`postmigrate`), and takes them back at `cont`.
 */

/** Of memory that is all random the stream is a little larger than the memory, and devices come on top. */
const STREAM_OVERHEAD_SHARE = 0.1;
const STREAM_OVERHEAD_BYTES = 256 * 1024 * 1024;
/** QEMU sends no more than 128 MiB/s unless told otherwise, while the guest stands still. */
const UNLIMITED_BYTES_PER_S = 1024 ** 4;

type StreamFile = NonNullable<Start['memoryFile']>;

/** What the journal must know of a capture into a stream. Throws as `Monitor.execute` does. */
export async function limitsFor(
  { line }: Pick<Place, 'line'>,
  file: Start['memoryFile'],
): Promise<Pick<StreamFile, 'bytesPerS'>> {
  if (file?.format !== 'stream') return {};
  const reply = await line.held.execute('query-migrate-parameters', {}, { timeoutMs: LOOK_TIMEOUT_MS });
  return { bytesPerS: parseMigrationLimits(reply) };
}

/**
 * Does the work of a capture, with somebody who receives the memory when it is to become a stream. However the work
 * ends, nobody listens afterwards; if it fails, the migration is over and the machine runs again. Throws what the work
 * throws.
 */
export async function whileReceiving<T>(
  errand: Errand,
  start: Start,
  work: (stream: MemoryStream | null) => Promise<T>,
): Promise<T> {
  const { memoryFile } = start;
  if (memoryFile?.format !== 'stream') return work(null);
  const stream = await MemoryStream.open(
    errand,
    memoryFile,
    unfinishedOf(start.snapshotId ?? '', memoryFile),
  );
  try {
    return await work(stream);
  } catch (error) {
    await troubleIn(() => endMigration(errand, start)); // What comes of it is looked at by whoever undoes the capture.
    throw error;
  } finally {
    stream.close();
  }
}

/** One migration into a file of ours. */
export class MemoryStream {
  readonly #errand: Errand;
  readonly #file: StreamFile;
  readonly #unfinished: string;
  readonly #receiving: Receiving;
  readonly #timeoutMs: number;

  private constructor(
    errand: Errand,
    { file, unfinished }: { file: StreamFile; unfinished: string },
    receiving: Receiving,
    timeoutMs: number,
  ) {
    this.#errand = errand;
    this.#file = file;
    this.#unfinished = unfinished;
    this.#receiving = receiving;
    this.#timeoutMs = timeoutMs;
  }

  /** Listens, before the machine has to stand still. Throws what the files refuse. */
  static async open(errand: Errand, file: StreamFile, unfinished: string): Promise<MemoryStream> {
    const { place, steps, operationId } = errand;
    const { files, streams } = place.world;
    const socket = socketOf(place, operationId);
    const sizeBytes = await memoryBytes(place.line.held);
    const sizeBytesMax = sizeBytes * (1 + STREAM_OVERHEAD_SHARE) + STREAM_OVERHEAD_BYTES;
    const receiving = await steps.take('listen for the memory', null, async () => {
      await files.makePrivateDirectory(posix.dirname(socket));
      await files.unlink(socket);
      return listening(() => streams.receive(socket, unfinished, { sizeBytesMax }));
    });
    return new MemoryStream(
      errand,
      { file, unfinished },
      receiving,
      JOB_TIMEOUT_MS + sizeBytes / JOB_BYTES_PER_MS,
    );
  }

  /** Sends the memory of a machine that stands still. QEMU has let go of its images afterwards. */
  async save(): Promise<void> {
    const { place, steps, operationId } = this.#errand;
    const migration: Migrate = { uri: `unix:${socketOf(place, operationId)}` };
    const timeoutMs = POWER_TIMEOUT_MS;
    await setLimit(place, UNLIMITED_BYTES_PER_S);
    await pass(place.world, 'hypervisor.before-act');
    await steps.take('save the memory', null, async () => {
      await place.line.held.execute('migrate', migration, { timeoutMs });
      await this.#completed();
    });
    await pass(place.world, 'hypervisor.after-act');
  }

  /** All of it is on disk under its name when this resolves. The machine may run meanwhile. */
  async keep(): Promise<void> {
    const { place, steps, memory, operationId } = this.#errand;
    const { files } = place.world;
    const { file } = this.#file;
    await pass(place.world, 'hypervisor.before-act');
    const measure = await steps.take('keep the memory', null, async () => {
      const received = await this.#inTime(this.#receiving.received);
      await takeNames(this.#errand, [file]); // A renaming would wipe what lies there.
      await files.rename(this.#unfinished, file);
      await files.syncDirectory(posix.dirname(file));
      return received;
    });
    await pass(place.world, 'hypervisor.after-act');
    memory.streamed.set(operationId, measure);
    await troubleIn(() => setLimit(place, this.#file.bytesPerS)); // It only bounds how fast others migrate.
  }

  /** Nobody listens any more. */
  close(): void {
    this.#receiving.close();
  }

  async #completed(): Promise<void> {
    const { place, journal } = this.#errand;
    const onProgress = (percent: number): void => journal.progress({ phase: 'capturing', percent });
    const { status, error, isOver } = await endOf(place, this.#timeoutMs, onProgress);
    if (status === 'completed' && isOver) return;
    if (status === 'failed') {
      await this.#whyNotWritten();
      throw new QmpRefused('migrate', 'GenericError', error ?? 'the migration failed');
    }
    if (status === 'cancelled') throw new Thwarted('canceled', 'somebody has cancelled the migration');
    throw new Thwarted('refused-by-qemu', `the migration is ${status} after ${this.#timeoutMs} ms`);
  }

  /** When we hang up QEMU knows nothing but that. Throws the reason, if it was ours. */
  async #whyNotWritten(): Promise<void> {
    await this.#inTime(this.#receiving.received);
  }

  /** QEMU hangs up when it has sent all. */
  #inTime(received: Promise<Measure>): Promise<Measure> {
    const { clock } = this.#errand.place.world;
    const tooLate = clock.sleep(MIGRATION_END_TIMEOUT_MS).then((): never => {
      throw new Thwarted('refused-by-qemu', 'QEMU has not hung up after it sent the memory');
    });
    return Promise.race([received, tooLate]);
  }
}

/** Whoever cannot listen cannot write either, as far as the capture is concerned. */
async function listening(open: () => Promise<Receiving>): Promise<Receiving> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof ConnectTrouble)
      throw new Thwarted('internal', `nobody can listen: ${error.message}`);
    throw error;
  }
}

async function setLimit({ line }: Place, bytesPerS: number | undefined): Promise<void> {
  if (bytesPerS === undefined) return;
  const limits: SetMigrationLimits = { 'max-bandwidth': bytesPerS };
  await line.held.execute('migrate-set-parameters', limits, { timeoutMs: POWER_TIMEOUT_MS });
}

const migrationNow = async (monitor: Monitor): Promise<Migration> =>
  parseMigration(await monitor.execute('query-migrate', {}, { timeoutMs: LOOK_TIMEOUT_MS }));

/**
 * How the migration ended, or how it stands when the time is up. QEMU says `completed` a moment before it is done with
 * it, and refuses to let the machine run until then.
 */
async function endOf(
  { line, world }: Place,
  timeoutMs: number,
  onProgress: (percent: number) => void = () => undefined,
): Promise<Migration & { isOver: boolean }> {
  const until = world.clock.monotonic() + timeoutMs;
  let pauseMs = MIGRATION_AGAIN_MS;
  for (;;) {
    const migration = await migrationNow(line.held);
    const isOver = !isMigrating(migration) && (await runStateThroughMonitor(line.held)) !== 'finish-migrate';
    if (isOver || world.clock.monotonic() >= until) return { ...migration, isOver };
    onProgress(migration.percent);
    await world.clock.sleep(pauseMs);
    pauseMs = Math.min(2 * pauseMs, MIGRATION_AGAIN_MAX_MS);
  }
}

/**
 * Over a living QEMU, whoever began it: a migration of ours is ended, and the machine runs again. Nobody else's
 * migration is: ours has a machine that stands still. Does nothing for a capture without a stream.
 *
 * @throws {NotNow} when it does not end
 */
export async function endMigration(errand: Errand, { memoryFile, wasRunning }: Start): Promise<void> {
  if (memoryFile?.format !== 'stream') return;
  const { place, steps, operationId } = errand;
  await place.world.files.unlink(socketOf(place, operationId));
  if ((await powerNow(errand)) === 'running') return;
  if (isMigrating(await migrationNow(place.line.held))) {
    await steps.take('cancel the migration', null, () =>
      place.line.held.execute('migrate_cancel', {}, { timeoutMs: POWER_TIMEOUT_MS }),
    );
  }
  const { status, isOver } = await endOf(place, MIGRATION_END_TIMEOUT_MS);
  if (!isOver) throw new NotNow('machine-busy', `our migration is ${status}, and does not end`);
  await troubleIn(() => setLimit(place, memoryFile.bytesPerS));
  if (wasRunning) await letRunOn(errand); // Whoever looks next sees what came of it.
}
