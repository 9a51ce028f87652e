import { comparePositions } from '#event-store';
import type { World } from '#world';
import { finish, type ViewsFile } from './file.ts';
import { type Checkpoint, type LogEvent, Projection } from './projection.ts';

/**
 * Events in one transaction. Whoever reads, reads through the same connection and sees them at once; after a crash
 * they are read from the log again. A page of the file that many of them touch is written once.
 */
const EVENTS_PER_COMMIT = 1_000;

/** The file shows another log, or a later state of this one. */
export class OtherLog extends Error {
  override readonly name = 'OtherLog';
}

/** An open file that is told what happens. After a trouble it is closed and never used again. */
export class Sitting {
  readonly #world: World;
  readonly #file: ViewsFile;
  readonly #projection: Projection;
  /** While the file is being built: where the log ended when that began. */
  readonly #end: string | null;
  /** The event that must come first, because the file shows it already. */
  #expected: Checkpoint | null;
  #uncommitted = 0;
  isBuilding: boolean;

  /** @throws {OtherLog} when the file shows more than a log holds that ends at `end` */
  constructor(world: World, file: ViewsFile, end: string | null) {
    this.#world = world;
    this.#file = file;
    this.#projection = new Projection(file.db, file.missing);
    this.#end = end;
    this.#expected = this.#projection.checkpoint();
    this.isBuilding = file.missing.length > 0;
    if (this.#expected && (end === null || comparePositions(this.#expected.position, end) > 0)) {
      throw new OtherLog(`the views show position ${this.#expected.position}, the log ends at ${end ?? '0'}`);
    }
  }

  /** Follow the log from here. The last event that is shown comes again, so that another log is noticed. */
  from(): string | null {
    return this.#expected?.before ?? null;
  }

  /** Whether the file may be shown: it is whole, and it is of this log. */
  canBeShown(): boolean {
    return !this.isBuilding && this.#expected === null;
  }

  /** The last event that the file shows; null when there is none. */
  position(): string | null {
    return this.#projection.checkpoint()?.position ?? null;
  }

  async tell(batch: readonly LogEvent[]): Promise<void> {
    const events = this.#expected ? this.#afterExpected(batch) : batch;
    const last = events.at(-1);
    if (!last) return;
    if (!this.#file.db.isTransaction) this.#file.db.exec('BEGIN');
    for (const event of events) this.#projection.apply(event);
    if (!this.isBuilding) {
      this.#projection.settle();
      this.#uncommitted += events.length;
      if (this.#uncommitted >= EVENTS_PER_COMMIT) this.commit();
    } else if (this.#end === null || comparePositions(last.position, this.#end) >= 0) {
      await this.finish();
    }
  }

  /** Ends the building. Each index takes a while, and others have their turn in between. */
  async finish(): Promise<void> {
    this.#projection.settle();
    while (this.#projection.indexOneMore()) await this.#world.turn();
    finish(this.#file.db);
    this.isBuilding = false;
  }

  /** Makes what is shown the file's content. What is not finished stays out of it. */
  commit(): void {
    if (this.isBuilding || !this.#file.db.isTransaction) return;
    this.#file.db.exec('COMMIT');
    this.#uncommitted = 0;
  }

  #afterExpected(batch: readonly LogEvent[]): readonly LogEvent[] {
    const [first, ...events] = batch;
    const isKnown = first?.position === this.#expected?.position && first?.hash === this.#expected?.hash;
    if (!isKnown) throw new OtherLog('the last event that the views show is not in the log');
    this.#expected = null;
    return events;
  }
}
