import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { TranscriptEntry } from '#qmp';
import { type Clock, type Files, FileTrouble, type Finished, type World } from '#world';
import { pass } from './fault-points.ts';

/** How long they are kept. */
export const TRANSCRIPT_AGE_MAX_MS = 30 * 24 * 60 * 60 * 1_000;

/** Lines wait in memory until the operation pauses or ends; more than this is not kept. */
const WAITING_CHARACTERS_MAX = 8 * 1024 * 1024;

const SUFFIX = '.ndjson';

/** Everything said to QEMU and qemu-img in one operation, and their answers, one JSON object a line. */
export class Transcript {
  readonly #world: Pick<World, 'files' | 'clock' | 'fault'>;
  readonly #directory: string;
  readonly #file: string;
  readonly #hash = createHash('sha256');
  #waiting: string[] = [];
  #waitingCharacters = 0;
  #leftOutCount = 0;
  #isLost = false;
  /** What was said first is written first. */
  #flushed: Promise<void> = Promise.resolve();

  constructor(world: Pick<World, 'files' | 'clock' | 'fault'>, directory: string, operationId: string) {
    this.#world = world;
    this.#directory = directory;
    this.#file = posix.join(directory, `${operationId}${SUFFIX}`);
  }

  /** Over the monitor. */
  readonly said = (entry: TranscriptEntry): void => this.#add(entry);

  /** A program run beside QEMU. */
  readonly ran = (program: string, args: readonly string[], { code, stderr }: Finished): void =>
    this.#add({ direction: 'ran', at: this.#world.clock.now(), program, args, code, stderr });

  /**
   * Writes what has come since. A transcript that cannot be written is given up: how an operation ends must not
   * hang on it.
   */
  flush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => this.#flush());
    return this.#flushed;
  }

  async #flush(): Promise<void> {
    if (this.#isLost || this.#waiting.length === 0) return;
    if (this.#leftOutCount > 0) this.#push(`${JSON.stringify({ leftOut: this.#leftOutCount })}\n`);
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingCharacters = 0;
    this.#leftOutCount = 0;
    await pass(this.#world, 'hypervisor.before-transcript');
    await this.#write(text);
    await pass(this.#world, 'hypervisor.after-transcript');
  }

  /** SHA-256, in hex, of what this run has written; empty when not all of it could be. */
  get digest(): string {
    return this.#isLost ? '' : this.#hash.copy().digest('hex');
  }

  async #write(text: string): Promise<void> {
    try {
      await this.#append(text);
      this.#hash.update(text);
    } catch (error) {
      if (!(error instanceof FileTrouble)) throw error;
      this.#isLost = true;
    }
  }

  /** The directory is made when it turns out to be missing: it nearly never is. */
  async #append(text: string): Promise<void> {
    const { files } = this.#world;
    try {
      await files.append(this.#file, text);
    } catch (error) {
      if (!(error instanceof FileTrouble && error.code === 'ENOENT')) throw error;
      await files.makeDirectory(this.#directory);
      await files.append(this.#file, text);
    }
  }

  #add(entry: object): void {
    const line = `${JSON.stringify(entry)}\n`;
    if (this.#waitingCharacters + line.length > WAITING_CHARACTERS_MAX) this.#leftOutCount += 1;
    else this.#push(line);
  }

  #push(line: string): void {
    this.#waiting.push(line);
    this.#waitingCharacters += line.length;
  }
}

/** Removes transcripts that nobody has written to for 30 days; tells how many. */
export async function pruneTranscripts(
  world: { files: Pick<Files, 'list' | 'stat' | 'unlink'>; clock: Pick<Clock, 'now'> },
  directory: string,
): Promise<number> {
  const before = world.clock.now() - TRANSCRIPT_AGE_MAX_MS;
  let prunedCount = 0;
  for (const name of await world.files.list(directory)) {
    const file = posix.join(directory, name);
    const found = name.endsWith(SUFFIX) ? await world.files.stat(file) : null;
    if (found && found.modifiedAt < before && (await world.files.unlink(file))) prunedCount += 1;
  }
  return prunedCount;
}
