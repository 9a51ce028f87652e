import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type ChainEnd, CHAIN_START, type EventStore, openSqliteStore, verifyChain } from '#event-store';
import { rebuildViews } from '#views';
import { realWorld } from '#world';

/*
 * `replay-once.js HOW DIRECTORY` reads the log in the directory once and prints how long that took and the most
 * memory it needed: a process of its own, so that nobody else's memory is counted.
 */

const ROWS_PER_PAGE = 2_000;

const HOW: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  /** Every row read in pages, and as many small rows written in one transaction. */
  raw: async (directory) => {
    const log = new DatabaseSync(join(directory, 'ledger.sqlite'), { readOnly: true });
    const copy = fresh(directory, 'raw.sqlite');
    const db = new DatabaseSync(copy);
    db.exec('CREATE TABLE seen (position INTEGER PRIMARY KEY, stream_id INTEGER, version INTEGER); BEGIN');
    const page = log.prepare(
      `SELECT position, stream_id, version, record FROM events WHERE position > ? ORDER BY position LIMIT ${ROWS_PER_PAGE}`,
    );
    const insert = db.prepare('INSERT INTO seen VALUES (?, ?, ?)');
    page.setReturnArrays(true);
    for (let after = 0; ;) {
      const rows = page.all(after) as unknown as readonly (readonly [number, number, number, string])[];
      for (const [position, stream, version] of rows) insert.run(position, stream, version);
      const last = rows.at(-1);
      if (!last) break;
      after = last[0];
    }
    db.exec('COMMIT');
    db.close();
    log.close();
  },
  plain: (directory) => replay(directory, (store) => store),
  verified: (directory) => replay(directory, verifying),
};

async function replay(directory: string, through: (store: EventStore) => EventStore): Promise<void> {
  const world = realWorld();
  const store = await openSqliteStore(world, join(directory, 'ledger.sqlite'));
  await rebuildViews({ world, store: through(store), file: fresh(directory, 'replayed.sqlite') });
  await store.close();
}

/** The same store, which believes no event whose hash does not follow from the one before. */
const verifying = (store: EventStore): EventStore => ({
  isShared: store.isShared,
  read: (...asked) => store.read(...asked),
  append: (...asked) => store.append(...asked),
  head: () => store.head(),
  close: () => store.close(),
  async *since(position, signal) {
    const ends = new Map<string, ChainEnd>();
    for await (const batch of store.since(position, signal)) {
      for (const event of batch) {
        ends.set(event.stream, verifyChain([event], ends.get(event.stream) ?? CHAIN_START));
      }
      yield batch;
    }
  },
});

function fresh(directory: string, name: string): string {
  const file = join(directory, name);
  for (const left of [file, `${file}-wal`, `${file}-shm`]) rmSync(left, { force: true });
  return file;
}

const [how = '', directory = ''] = process.argv.slice(2);
const startedAt = performance.now();
await HOW[how]?.(directory);
const seconds = (performance.now() - startedAt) / 1_000;
process.stdout.write(JSON.stringify({ seconds, memoryMiB: process.resourceUsage().maxRSS / 1_024 }));
