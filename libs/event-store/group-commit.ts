import type { World } from '#world';
import type { SealedEvent } from './envelope.ts';
import { StoreTrouble, VersionConflict } from './store.ts';

/** Appends that may wait for the disk; whoever comes after them is told to come back later. */
const APPENDS_WAITING_MAX = 10_000;

/** Appends in one transaction: keeps what a commit holds in memory, and the wait of the last one, bounded. */
const BATCH_APPENDS_MAX = 1_000;

/** Turns of the event loop that a commit waits while each brings more appends: they share its sync of the disk. */
export const TURNS_PER_BATCH_MAX = 16;

/** What a closed store says. */
export const CLOSED = 'the event store is closed';

export interface Append {
  readonly stream: string;
  readonly expectedVersion: number;
  readonly events: readonly SealedEvent[];
}

/** What became of one append: its positions, or why nothing of it was recorded. */
export type Verdict = readonly string[] | VersionConflict;

interface Waiting {
  readonly append: Append;
  readonly resolve: (positions: string[]) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Makes one transaction of all the appends that come in during one turn of the event loop, and during the turns
 * after it for as long as they bring more: one sync of the disk serves them all. Nobody is answered before the
 * commit has returned.
 */
export class GroupCommit {
  readonly #world: World;
  readonly #commit: (batch: readonly Append[]) => readonly Verdict[];
  #waiting: Waiting[] = [];
  #idle: Promise<void> | null = null;
  #isClosed = false;

  /**
   * `commit` records each append whose version is right, all in one transaction, and answers for each. It is
   * synchronous, so that nothing comes between its beginning and its commit. It throws when nothing was recorded.
   */
  constructor(world: World, commit: (batch: readonly Append[]) => readonly Verdict[]) {
    this.#world = world;
    this.#commit = commit;
  }

  async append(append: Append): Promise<string[]> {
    if (this.#isClosed) throw new StoreTrouble('unavailable', CLOSED);
    requireSequence(append);
    if (this.#waiting.length >= APPENDS_WAITING_MAX) {
      throw new StoreTrouble('unavailable', `${APPENDS_WAITING_MAX} appends wait for the disk already`);
    }
    return await new Promise<string[]>((resolve, reject) => {
      this.#waiting.push({ append, resolve, reject });
      this.#idle ??= this.#run();
    });
  }

  /** Takes no more appends; resolves when those that wait are answered. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#idle;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#gather();
      await this.#flush();
    }
    this.#idle = null;
  }

  /** Returns when a turn has brought nothing, or a batch is full. */
  async #gather(): Promise<void> {
    for (let turns = 0; turns < TURNS_PER_BATCH_MAX; turns += 1) {
      const before = this.#waiting.length;
      await this.#world.turn();
      if (this.#waiting.length === before || this.#waiting.length >= BATCH_APPENDS_MAX) return;
    }
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting.splice(0, BATCH_APPENDS_MAX);
    let isCommitted = false;
    try {
      await this.#world.fault('store.before-commit');
      const verdicts = this.#commit(batch.map(({ append }) => append));
      isCommitted = true;
      await this.#world.fault('store.after-commit');
      batch.forEach((waiting, index) => answer(waiting, verdicts[index]));
    } catch (error) {
      const trouble = isCommitted ? unheard(error) : failed(error);
      for (const { reject } of batch) reject(trouble);
    }
  }
}

function answer({ resolve, reject }: Waiting, verdict: Verdict | undefined): void {
  if (verdict === undefined) reject(new Error('the store gave no verdict on an append'));
  else if (verdict instanceof VersionConflict) reject(verdict);
  else resolve([...verdict]);
}

const unheard = (cause: unknown): StoreTrouble =>
  new StoreTrouble('unavailable', 'the connection was lost after the commit', { effect: 'unknown', cause });

const failed = (cause: unknown): StoreTrouble =>
  cause instanceof StoreTrouble
    ? cause
    : new StoreTrouble('unavailable', 'the commit failed, nothing was recorded', { cause });

/** A hole or a foreign event in the log could never be mended: whoever asks for one has a bug. */
function requireSequence({ stream, expectedVersion, events }: Append): void {
  if (events.length === 0) throw new Error(`an append to ${stream} brought no events`);
  let previousHash: string | undefined;
  events.forEach(({ envelope, ...chained }, index) => {
    const version = String(expectedVersion + 1 + index);
    if (envelope.stream !== stream || envelope.version !== version) {
      throw new Error(
        `version ${version} of ${stream} cannot be ${envelope.stream} version ${envelope.version}`,
      );
    }
    if (previousHash !== undefined && chained.previousHash !== previousHash) {
      throw new Error(`version ${version} of ${stream} does not follow the event before it`);
    }
    previousHash = chained.hash;
  });
}
