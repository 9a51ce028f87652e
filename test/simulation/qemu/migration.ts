import { textOf } from './arguments.ts';
import type { SavedMemory } from './content.ts';
import type { JsonObject } from './json.ts';
import type { Machine } from './machine.ts';
import type { Migration, Receiver } from './migrating.ts';
import { QmpError } from './qmp-error.ts';
import { pause, type Work } from './work.ts';

const SEND_LEAST_MS = 5;
const SEND_MOST_MS = 2_000;
const SEND_SLOWLY_MS = 20_000;
/** In how many pieces it comes. */
const PIECES = 3;

/** `migrate` to a unix socket. The reply comes at once. */
export function migrate(machine: Machine, args: JsonObject): void {
  if (machine.status === 'postmigrate')
    throw new QmpError("Can't migrate the vm that was paused due to previous migration");
  if (machine.migration?.status === 'active') throw new QmpError("There's a migration process in progress");
  const path = textOf(args, 'uri').replace(/^unix:/, '');
  const receiver = machine.surroundings.receiverAt(path);
  const migration: Migration = { status: 'active', error: null };
  machine.migration = migration;
  if (!receiver) {
    migration.status = 'failed';
    migration.error = `Failed to connect to '${path}': No such file or directory`;
    return;
  }
  machine.onDeath(() => receiver.end(null));
  machine.beside('migrates', sending(machine, migration, receiver));
}

function* sending(machine: Machine, migration: Migration, receiver: Receiver): Work<void> {
  const { chance, faults, newSerial } = machine.surroundings;
  const isSlow = faults.happens('migration-slow');
  const msEach = (isSlow ? SEND_SLOWLY_MS : chance.betweenLog(SEND_LEAST_MS, SEND_MOST_MS)) / PIECES;
  const memory = machine.guest.remember(newSerial());
  for (let piece = 0; piece < PIECES; piece += 1) {
    yield* pause(chance, msEach, `sends ${piece}`);
    if (migration.status !== 'active') return receiver.end(null);
    if (!receiver.isOpen) return void fail(migration, 'Unable to write to socket: Broken pipe');
    receiver.take(`${memory.serial}.${piece};`);
  }
  if (machine.isRunning) machine.stop('paused');
  machine.graph.letGo();
  machine.status = 'postmigrate';
  migration.status = 'completed';
  receiver.end(memory);
}

const fail = (migration: Migration, error: string): Migration =>
  Object.assign(migration, { status: 'failed', error });

/** `migrate_cancel`. */
export function cancelMigration({ migration }: Machine): void {
  if (migration?.status === 'active') migration.status = 'cancelled';
}

/** `query-migrate`. */
export const migrationInfo = ({ migration }: Machine): JsonObject => {
  if (!migration) return {};
  const { status, error } = migration;
  return { status, ...(error !== null && { 'error-desc': error }) };
};

const LOAD_MS = 40;

/** What came over the socket of a machine that waits for its memory. */
export function takeUp(machine: Machine, memory: SavedMemory | null, done: (isTaken: boolean) => void): void {
  const { chance, scheduler } = machine.surroundings;
  machine.onDeath(() => done(false)); // The connection breaks, if it is still there.
  machine.later(chance.between(LOAD_MS / 2, 2 * LOAD_MS), 'takes its memory up', () => {
    if (memory === null) {
      scheduler.note(`${machine.name}: load of migration failed: Input/output error`);
      machine.kill('ends');
      return done(false);
    }
    machine.restore(memory);
    machine.status = 'paused';
    machine.graph.settle();
    done(true);
  });
}
