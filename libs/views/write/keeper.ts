import { type EventStore, follow, type FollowerState } from '#event-store';
import type { RegistryEvent, VmEvent } from '#ledger';
import type { World } from '#world';
import { Showing } from '../show/show.ts';
import { isBroken } from '../sql.ts';
import { openFile, removeFile, type ViewsFile } from './file.ts';
import { OutOfStep } from './projection.ts';
import { readEvent } from './reading.ts';
import { OtherLog, Sitting } from './sitting.ts';

/**
 * How long the keeper waits before it tries again. Doubles with every failure, up to the second: so late may it notice
 * that the trouble is over, and nobody is answered until then.
 */
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 4_000;

export type ViewsState = 'following' | 'rebuilding' | 'log-newer' | 'stopped';

/** What an operator may like to know. The views mend themselves. */
export interface ViewsNotice {
  readonly what: 'rebuilding' | 'trouble';
  readonly why: string;
  readonly error?: unknown;
}

export interface KeeperParts {
  readonly world: World;
  readonly store: EventStore;
  readonly file: string;
  readonly signal: AbortSignal;
  readonly onNotice: (notice: ViewsNotice) => void;
  /** Called whenever there may be something new to see. */
  readonly onChange: () => void;
}

/** Keeps a file in step with the log: opens or builds it, follows, and begins anew when it cannot be trusted. */
export class Keeper {
  state: ViewsState = 'rebuilding';
  position: string | null = null;
  /** Null while there is nothing that could be shown. */
  showing: Showing | null = null;
  readonly #parts: KeeperParts;
  /** Ends the present sitting, in which one file is open. */
  #ending = new AbortController();
  /** Why the present sitting ends. */
  #trouble: unknown = null;
  #failures = 0;
  readonly #opened = Promise.withResolvers<void>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Resolves when the file was opened, or could not be, for the first time. */
  opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Returns when the signal aborts or the log is closed. Never rejects. */
  async run(): Promise<void> {
    const { world, signal, onNotice } = this.#parts;
    let isOver = false;
    while (!isOver && !signal.aborted) {
      try {
        isOver = await this.#sit();
      } catch (error) {
        this.#failures += 1;
        this.#opened.resolve();
        onNotice({ what: 'trouble', why: String(error), error });
        await world.clock.sleep(Math.min(RETRY_MS_MIN * 2 ** this.#failures, RETRY_MS_MAX), signal);
      }
    }
    this.state = 'stopped';
    this.#opened.resolve();
  }

  /** To be called with what was thrown when something was looked up. */
  doubt(error: unknown): void {
    if (isBroken(error)) this.#end(error);
  }

  /** True when there is nothing to go on with. Throws what went wrong; the file is gone when it is to blame. */
  async #sit(): Promise<boolean> {
    const { world, store, file, signal, onNotice } = this.#parts;
    this.#ending = new AbortController();
    this.#trouble = null;
    const dropped = (why: string): void => onNotice({ what: 'rebuilding', why: `${file}: ${why}` });
    const opened = await openFile(world, file, dropped);
    const end = await this.#follow(opened, await store.head()).catch((error: unknown) => this.#end(error));
    opened.db.close();
    if (isToBlame(this.#trouble) || end === 'log-older') await removeFile(world, file);
    if (this.#trouble !== null) throw this.#trouble;
    return signal.aborted || end === 'stopped';
  }

  /** Shows everything that is recorded, until the sitting or the log ends. */
  async #follow(opened: ViewsFile, head: string | null): Promise<FollowerState> {
    const { world, store, onNotice } = this.#parts;
    const sitting = new Sitting(world, opened, head);
    const signal = AbortSignal.any([this.#parts.signal, this.#ending.signal]);
    if (sitting.isBuilding && head === null) await sitting.finish();
    this.#show(sitting, opened);
    const following = follow<VmEvent | RegistryEvent>({
      ...{ world, store, name: 'views', from: sitting.from(), signal },
      read: readEvent,
      on: async (batch) => {
        await world.fault('views.before-write');
        await sitting.tell(batch).catch((error: unknown) => {
          this.#end(error);
          throw error;
        });
        await world.fault('views.after-write');
        this.#show(sitting, opened);
      },
      onTrouble: (error, { retryInMs }) => {
        const why = retryInMs === null ? 'the views follow no further' : 'the views wait for the log';
        if (!this.#ending.signal.aborted) onNotice({ what: 'trouble', why, error });
      },
    });
    const end = await following.stopped;
    if (end === 'log-newer') {
      if (sitting.isBuilding) await sitting.finish();
      this.#show(sitting, opened);
      this.state = 'log-newer';
      await aborted(signal);
    }
    if (this.#trouble === null) sitting.commit();
    return end;
  }

  #show(sitting: Sitting, { db }: ViewsFile): void {
    if (sitting.isBuilding) this.#opened.resolve();
    this.state = sitting.isBuilding ? 'rebuilding' : 'following';
    if (!sitting.canBeShown() || this.#ending.signal.aborted) return;
    this.#failures = 0;
    this.showing ??= new Showing(db);
    this.position = sitting.position();
    this.#opened.resolve();
    this.#parts.onChange();
  }

  #end(error: unknown): 'retrying' {
    this.#trouble = error;
    this.showing = null;
    this.position = null;
    this.#ending.abort();
    return 'retrying';
  }
}

/** Whether the file must go: it is broken, or it shows what the log does not hold. */
const isToBlame = (error: unknown): boolean =>
  isBroken(error) || error instanceof OutOfStep || error instanceof OtherLog;

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
