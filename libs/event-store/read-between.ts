import type { World } from '#world';

/** What is read from a log, between the fault points that stand beside every read. */
export async function readBetween<T>(world: World, read: () => T): Promise<T> {
  await world.fault('store.before-read');
  const found = read();
  await world.fault('store.after-read');
  return found;
}
