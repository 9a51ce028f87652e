import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type EventStore, type MemoryDisk, openMemoryStore, type StoredEvent } from '#event-store';
import { openViews, rebuildViews, type Views } from '#views';
import { type FileStat, realWorld, type World } from '#world';
import type { Fate } from './faults.ts';
import { must, Violation } from './violation.ts';

/** What the views are made to hear instead of an event's record, to see whether anybody notices. */
export type Mislead = (record: string) => string;

const AS_IT_IS: Mislead = (record) => record;

/**
 * The views of one simulated world, on a real disk: SQLite knows no other. They outlive every ledgerd, which opens them
 * through its own world, so that it can die at each of its looks at the disk, and takes as long for them as for others.
 */
export class ViewsOnDisk {
  readonly #directory = mkdtempSync(join(tmpdir(), 'snapledger-simulation-'));
  readonly #faults: Fate;
  readonly #mislead: Mislead;
  readonly #onFailure: (error: unknown) => void;
  #views: Views | null = null;
  #deaths = 0;

  constructor(faults: Fate, mislead: Mislead | undefined, onFailure: (error: unknown) => void) {
    this.#faults = faults;
    this.#mislead = mislead ?? AS_IT_IS;
    this.#onFailure = onFailure;
  }

  /** Those of the present process; null while there is none. */
  get views(): Views | null {
    return this.#views;
  }

  async open(world: World, store: EventStore): Promise<Views> {
    const views = await openViews({
      world: { ...world, files: { ...world.files, ...this.#filesOf(world) } },
      store: misled(store, this.#mislead),
      file: this.#file,
      onNotice: ({ what, why }) => {
        if (what === 'rebuilding') this.#onFailure(new Violation('I11', `views were given up: ${why}`));
      },
    });
    this.#views = views;
    return views;
  }

  /** The process is gone, and the next one finds what this one has written. Without the power, it finds less. */
  died(): void {
    const before = this.#file;
    const dead = this.#views;
    this.#deaths += 1;
    this.#views = null;
    const isPowerLost = this.#faults.happens('views-not-synced');
    for (const suffix of isPowerLost ? [''] : ['', '-wal', '-journal']) {
      // The dead one holds on to its file, since in truth it is of this process: hence a copy.
      if (existsSync(before + suffix)) copyFileSync(before + suffix, this.#file + suffix);
    }
    void dead?.close().catch(this.#onFailure);
  }

  /** Views whose process has closed them, row for row beside those that are built from the log. */
  async checkRebuilt(disk: MemoryDisk): Promise<void> {
    const world = realWorld();
    const store = openMemoryStore(world, disk);
    const file = join(this.#directory, 'rebuilt.sqlite');
    const { events } = await rebuildViews({ world, store, file });
    await store.close();
    must(events === disk.events.length, 'I11', () => `a rebuild has read ${events} events`);
    const [followed, rebuilt] = [rowsIn(this.#file), rowsIn(file)];
    for (const row of new Set([...followed, ...rebuilt])) {
      const whose = followed.has(row) ? 'followed' : 'rebuilt';
      must(followed.has(row) && rebuilt.has(row), 'I11', () => `only the ${whose} views have ${row}`);
    }
  }

  /** The end of the world. */
  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }

  get #file(): string {
    return join(this.#directory, `views.${this.#deaths}.sqlite`);
  }

  /** The real files, in the time of the simulated ones. A trace says nothing of where they lie. */
  #filesOf({ files }: World): Pick<World['files'], 'stat' | 'unlink'> {
    const simulated = '/data/views.sqlite';
    return {
      stat: async (path) => {
        await files.stat(simulated);
        return statOf(path);
      },
      unlink: async (path) => {
        await files.unlink(simulated);
        const isThere = existsSync(path);
        rmSync(path, { force: true });
        return isThere;
      },
    };
  }
}

function statOf(path: string): FileStat | null {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return null;
  const identity = `${found.dev}:${found.ino}`;
  return {
    kind: 'file',
    sizeBytes: found.size,
    identity,
    modifiedAt: found.mtimeMs,
    changedAt: found.ctimeMs,
  };
}

const misled = (store: EventStore, mislead: Mislead): EventStore => ({
  ...store,
  since: async function* (position, signal) {
    for await (const page of store.since(position, signal))
      yield page.map((event): StoredEvent => ({ ...event, record: mislead(event.record) }));
  },
});

/** Every row of every table, each with the name of its table. */
function rowsIn(file: string): ReadonlySet<string> {
  const db = new DatabaseSync(file, { readOnly: true });
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  const rows = tables.flatMap(({ name }) =>
    db
      .prepare(`SELECT * FROM "${String(name)}"`)
      .all()
      .map((row) => `${String(name)} ${JSON.stringify(row)}`),
  );
  db.close();
  return new Set(rows);
}
