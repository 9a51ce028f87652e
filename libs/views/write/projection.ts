import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Recorded } from '#event-store';
import type { RegistryEvent, VmEvent } from '#ledger';
import { HEADS, Heads } from './heads.ts';
import { HISTORY, History } from './history.ts';
import { LINEAGE, Lineage } from './lineage.ts';
import { OPERATIONS, Operations } from './operations.ts';
import { ROLLS } from './rolls.ts';
import { one } from '../sql.ts';
import { Tables, type ViewTables } from './tables.ts';
import { tell, type View } from './view.ts';
import { VMS, Vms } from './vms.ts';

/** Where the views have come to. Moves with them, in the same transaction. */
const CHECKPOINT: ViewTables = {
  name: 'checkpoint',
  version: 1,
  tables: `
    CREATE TABLE checkpoint (
      only_row INTEGER PRIMARY KEY CHECK (only_row = 1), position TEXT NOT NULL, hash TEXT NOT NULL, before TEXT
    ) STRICT`,
  indexes: [],
};

/** Everything that stands in the file. */
export const ALL_TABLES: readonly ViewTables[] = [
  CHECKPOINT,
  HEADS,
  ROLLS,
  LINEAGE,
  VMS,
  OPERATIONS,
  HISTORY,
];

/** The last event that the views show, by which a log is known again. */
export interface Checkpoint {
  readonly position: string;
  readonly hash: string;
  /** The position of the event before it; null when it was the log's first. */
  readonly before: string | null;
}

export type LogEvent = Recorded<VmEvent | RegistryEvent>;

const VM_STREAM = 'vm-';

/** A stream's versions are gapless: one that is not next was skipped, or the file is of another log. */
export class OutOfStep extends Error {
  override readonly name = 'OutOfStep';
}

/** All views at work on one file. After a trouble it is to be thrown away: it remembers what was not committed. */
export class Projection {
  readonly #tables: Tables;
  readonly #heads: Heads;
  readonly #views: readonly View[];
  readonly #write: StatementSync;
  #checkpoint: Checkpoint | null;

  constructor(db: DatabaseSync, missing: readonly string[]) {
    this.#tables = new Tables(db, missing);
    this.#heads = new Heads(this.#tables);
    const lineage = new Lineage(this.#tables, this.#heads);
    const operations = new Operations(this.#tables);
    const history = new History(this.#tables, { known: lineage.known, operations });
    this.#views = [history, operations, lineage, new Vms(this.#tables)];
    this.#write = db.prepare('INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?)');
    this.#checkpoint = one<Checkpoint>(db.prepare('SELECT position, hash, before FROM checkpoint')) ?? null;
  }

  checkpoint(): Checkpoint | null {
    return this.#checkpoint;
  }

  /** Shows one more event. The caller has begun a transaction. */
  apply(event: LogEvent): void {
    const { position, hash } = event;
    if (event.type !== 'VmClaimed' && event.type !== 'ClaimReleased') this.#tell(event);
    this.#checkpoint = { position, hash, before: this.#checkpoint?.position ?? null };
    if (this.#heads.isFull()) this.#forget();
  }

  /** Writes everything that was applied. The caller commits it. */
  settle(): void {
    for (const view of this.#views) view.settle();
    this.#heads.settle();
    this.#tables.write();
    if (!this.#checkpoint) return;
    const { position, hash, before } = this.#checkpoint;
    this.#write.run(position, hash, before);
  }

  /** Makes one of the indexes that a rebuild has left out; false when none is missing. */
  indexOneMore(): boolean {
    return this.#tables.indexOneMore();
  }

  #tell(event: Recorded<VmEvent>): void {
    const head = this.#heads.of(event.stream.slice(VM_STREAM.length));
    const version = Number(event.version);
    if (version !== head.version + 1) {
      throw new OutOfStep(`${event.stream} version ${event.version} came after version ${head.version}`);
    }
    const { recordedAt, actor, correlationId } = event;
    const at = { head, version, recordedAt, actor, correlationId };
    for (const view of this.#views) tell(view.on, event.type, event.data, at);
    head.version = version;
    head.recordedAt = recordedAt;
    this.#heads.record(head);
  }

  #forget(): void {
    this.settle();
    this.#heads.forget();
  }
}
