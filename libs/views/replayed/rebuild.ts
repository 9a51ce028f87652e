import { openViews, type ViewsOptions } from './views.ts';

/** Far beyond any log: a rebuild ends when the log does. */
const REBUILD_WITHIN_MS = 3_600_000;

/** Builds all views anew from the log, and says from how many events. */
export async function rebuildViews(options: ViewsOptions): Promise<{ events: number }> {
  const head = await options.store.head();
  if (head === null) return { events: 0 };
  const views = await openViews(options);
  await views.reached(head, REBUILD_WITHIN_MS);
  await views.close();
  return { events: Number(head) };
}
