import { dirname, join } from 'node:path';
import {
  type EventStore,
  openMemoryStates,
  openMemoryStore,
  openSqliteStates,
  openSqliteStore,
  type StateStore,
} from '#event-store';
import { openViews, type Views } from '#views';
import { FileTrouble, type World } from '#world';
import type { Closers } from './closers.ts';
import type { Config } from './config.ts';
import { type Ledgers, openLedgers } from './ledger.ts';
import type { Log } from './log.ts';
import { type Metrics, timed } from './metrics.ts';

const SQLITE_PREFIX = 'sqlite:';

export interface LogParts {
  readonly config: Config;
  readonly world: World;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly closers: Closers;
}

export interface OpenLog {
  readonly store: EventStore;
  readonly ledgers: Ledgers;
  readonly views: Views;
}

/**
 * Opens the log, the ledgers that append to it and the views that show it.
 *
 * @throws {StoreTrouble} when the log cannot be used; nothing was touched then
 * @throws {FileTrouble} when nothing can be kept in the data directory
 */
export async function openLog(parts: LogParts): Promise<OpenLog> {
  const { config, world, log, metrics, closers } = parts;
  await world.files.makeDirectory(config.data);
  if (!isMemory(config)) await requireWritable(world, config.data);
  const store = timed(await openStore(config, world), world.clock, metrics);
  closers.add('the log', () => store.close());
  const states = openStates(config, log);
  closers.add('the kept states', () => states.close());
  const ledgers = openLedgers({ world, store, states });
  closers.add('the ledgers', async () => {
    await ledgers.vms.close();
    await ledgers.registry.close();
  });
  const views = await openViews({
    world,
    store,
    file: isMemory(config) ? ':memory:' : join(config.data, 'views.sqlite'),
    onNotice: ({ what, why, error }) =>
      log.warn({ ...(error !== undefined && { err: error }) }, `the views mend themselves, ${what}: ${why}`),
  });
  closers.add('the views', () => views.close());
  return { store, ledgers, views };
}

/** The log may lie elsewhere, and what only shows it would wait for its file for ever. */
async function requireWritable({ files }: World, directory: string): Promise<void> {
  const probe = join(directory, 'ledgerd.probe');
  try {
    await files.append(probe, '');
    await files.unlink(probe);
    await files.syncDirectory(directory);
  } catch (error) {
    if (!(error instanceof FileTrouble)) throw error;
    const { code, path, message } = error;
    throw new FileTrouble(code, path, `nothing can be kept in the data directory: ${message}`);
  }
}

const isMemory = ({ store }: Config): boolean => store === 'memory:';

async function openStore(config: Config, world: World): Promise<EventStore> {
  if (isMemory(config)) return openMemoryStore(world);
  const file = config.store.slice(SQLITE_PREFIX.length) || join(config.data, 'ledger.sqlite');
  await world.files.makeDirectory(dirname(file));
  return openSqliteStore(world, file);
}

const openStates = (config: Config, log: Log): StateStore =>
  isMemory(config)
    ? openMemoryStates()
    : openSqliteStates(join(config.data, 'states.sqlite'), (error) =>
        log.warn({ err: error }, 'a folded state could not be kept: that costs time, nothing else'),
      );
