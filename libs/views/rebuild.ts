import { follow } from '#event-store';
import type { RegistryEvent, VmEvent } from '#ledger';
import type { ViewsOptions } from './views.ts';
import { openFile, removeFile } from './write/file.ts';
import { readEvent } from './write/reading.ts';
import { Sitting } from './write/sitting.ts';

export interface RebuildOptions extends Pick<ViewsOptions, 'world' | 'store' | 'file'> {
  /** Hears after every batch from how many events they have been built. */
  readonly onProgress?: (events: number) => void | Promise<void>;
}

/**
 * Drops the views and builds them anew from the log, to its present end; says from how many events. The next
 * start goes on from there.
 *
 * @throws {StoreTrouble} `locked` when another process has the views open; and what the log throws
 */
export async function rebuildViews(options: RebuildOptions): Promise<{ events: number }> {
  const { world, store, file, onProgress } = options;
  const old = await openFile(world, file, () => undefined);
  old.db.close();
  await removeFile(world, file);
  const head = await store.head();
  const opened = await openFile(world, file, () => undefined);
  const sitting = new Sitting(world, opened, head);
  const ending = new AbortController();
  let [events, trouble]: [number, unknown] = [0, null];
  if (head === null) {
    await sitting.finish();
    ending.abort();
  }
  const following = follow<VmEvent | RegistryEvent>({
    ...{ world, store, name: 'rebuild', from: null, signal: ending.signal, read: readEvent },
    on: async (batch) => {
      await sitting.tell(batch);
      events += batch.length;
      await onProgress?.(events);
      if (!sitting.isBuilding) ending.abort();
    },
    onTrouble: (error) => {
      trouble = error;
      ending.abort();
    },
  });
  await following.stopped;
  opened.db.close();
  if (trouble !== null) throw trouble;
  return { events };
}
