import { join } from 'node:path';
import { type EventStore, MemoryDisk, openMemoryStore } from '#event-store';
import type { Command } from '#ledger';
import { realWorld } from '#world';
import { openViews, type Views } from '../views.ts';
import type { ViewsNotice } from '../write/keeper.ts';
import { Scribe, type Written } from './scribe.ts';

/** Test-only. Longer than anything takes. */
export const PATIENCE_MS = 10_000;

/** Test-only. A log in memory, somebody who writes it, and a directory for views of it, which the test removes. */
export class Stage {
  readonly world = realWorld();
  readonly notices: ViewsNotice[] = [];
  readonly store: EventStore;
  readonly scribe: Scribe;
  readonly #directory: string;
  readonly #opened: Views[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    this.store = openMemoryStore(this.world, new MemoryDisk());
    this.scribe = new Scribe(this.store);
  }

  file(name = 'views.sqlite'): string {
    return join(this.#directory, name);
  }

  /** Views that show all that is recorded. */
  async open(file = this.file(), store = this.store): Promise<Views> {
    const onNotice = (notice: ViewsNotice): void => void this.notices.push(notice);
    const views = await openViews({ world: this.world, store, file, onNotice });
    this.#opened.push(views);
    await this.caughtUp(views, store);
    return views;
  }

  async caughtUp(views: Views, store = this.store): Promise<void> {
    const head = await store.head();
    if (head !== null && !(await views.reached(head, PATIENCE_MS))) throw new Error('the views stay behind');
  }

  /** Somebody asks, a second later; resolves when these views have seen what came of it. */
  async ask(views: Views, command: Command, vmId = 'vm', actor = 'http:ann'): Promise<readonly Written[]> {
    this.scribe.now += 1_000;
    const written = await this.scribe.ask(vmId, command, actor);
    await this.caughtUp(views);
    return written;
  }

  async close(): Promise<void> {
    for (const views of this.#opened) await views.close();
    await this.store.close();
  }
}

/** Test-only. Every item of a list, page by page. */
export function everyItem<Item>(
  page: (token: { pageToken?: string }) => readonly [readonly Item[], string | undefined],
): Item[] {
  const items: Item[] = [];
  let token: string | undefined;
  do {
    const [found, next] = page(token === undefined ? {} : { pageToken: token });
    items.push(...found);
    token = next;
  } while (token !== undefined);
  return items;
}
