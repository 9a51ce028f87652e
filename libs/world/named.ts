import { basename } from 'node:path/posix';
import type { Connect, Connection, Files, Finished, Lock, Streams, TakeLock, World } from './world.ts';

/*
 * Every touch of the world by its name: `files.unlink`, `run.qemu-img-create`, `connect`, `say.transaction`. Around each
 * stands a fault point before it and one after it, so that whoever tests crashes need not trust that somebody thought of
 * naming the dangerous places. Simulator and kill harness take their names from here.
 */

/** `before-`: nothing was done yet. `after-`: it was done, and nobody has heard of it. */
export type Side = 'before' | 'after';

/** The point beside a touch: `files.before-unlink`. */
export const pointBeside = (side: Side, touch: string): string => {
  const dot = touch.indexOf('.');
  return dot < 0 ? `${side}-${touch}` : `${touch.slice(0, dot)}.${side}-${touch.slice(dot + 1)}`;
};

type Points = Readonly<Record<Side, string>>;

const known = new Map<string, Points>();

/** There are few touches, and each comes often. */
function pointsBeside(touch: string): Points {
  const found = known.get(touch);
  if (found) return found;
  const points = { before: pointBeside('before', touch), after: pointBeside('after', touch) };
  known.set(touch, points);
  return points;
}

/** Programs that are called with a word for what they do. */
const WITH_VERB: ReadonlySet<string> = new Set(['qemu-img']);

/** What running a program is called. Whatever a path or a configuration holds stays out of it. */
export function runTouch(program: string, args: readonly string[]): string {
  const name = basename(program);
  const verb = WITH_VERB.has(name) ? args.find((word) => /^[a-z]+$/.test(word)) : undefined;
  return verb === undefined ? `run.${name}` : `run.${name}-${verb}`;
}

const EXECUTE = /"execute":\s*"([\w-]+)"/g;

/** What saying something to a monitor or a guest agent is called, for each command in it. */
export const saidTouches = (text: string): string[] =>
  [...text.matchAll(EXECUTE)].map(([, command = '']) => `say.${command}`);

/**
 * The same world with a fault point on both sides of every touch. What is said on a connection leaves in the order in
 * which it was written, each after its first point; its second point comes when it has left, before the next thing is said.
 * A point that throws is an error of the touch: of a program that it was killed, and on a connection its end.
 */
export function named(world: World): World {
  const { fault } = world;
  const beside = async <T>(touch: string, work: () => Promise<T>): Promise<T> => {
    const points = pointsBeside(touch);
    await fault(points.before);
    const done = await work();
    await fault(points.after);
    return done;
  };
  return {
    ...world,
    files: namedPort<Files>('files', world.files, beside),
    streams: namedPort<Streams>('streams', world.streams, beside),
    run: (program, args, options) =>
      beside(runTouch(program, args), () => world.run(program, args, options)).catch(killed),
    connect: (path) => namedConnect(world.connect, path, beside),
    lock: (name) => namedLock(world.lock, name, beside),
  };
}

const killed = (error: unknown): Finished => ({ code: null, stdout: '', stderr: String(error) });

/** Nobody is left on the line when the caller is told that there is none. */
async function namedConnect(connect: Connect, path: string, beside: Beside): Promise<Connection> {
  let connection: Connection | null = null;
  try {
    return await beside('connect', async () => {
      connection = new NamedConnection(await connect(path), beside);
      return connection;
    });
  } catch (error) {
    (connection as Connection | null)?.close();
    throw error;
  }
}

/** Nobody keeps a lock that nobody was told of. */
async function namedLock(take: TakeLock, name: string, beside: Beside): Promise<Lock | null> {
  let lock: Lock | null = null;
  try {
    return await beside('lock', async () => (lock = await take(name)));
  } catch (error) {
    (lock as Lock | null)?.release();
    throw error;
  }
}

type Beside = <T>(touch: string, work: () => Promise<T>) => Promise<T>;
type Verb = (...args: never[]) => Promise<unknown>;

/** Every verb of a port under the port's name. */
function namedPort<P extends object>(name: string, port: P, beside: Beside): P {
  const verbs = Object.entries(port) as [string, Verb][];
  const wrapped = verbs.map(([verb, act]) => {
    const touch = `${name}.${verb}`;
    return [verb, (...args: never[]) => beside(touch, () => act(...args))];
  });
  return Object.fromEntries(wrapped) as P; // The same verbs, each with its own arguments.
}

class NamedConnection implements Connection {
  readonly #connection: Connection;
  readonly #beside: Beside;
  #said: Promise<void> = Promise.resolve();

  constructor(connection: Connection, beside: Beside) {
    this.#connection = connection;
    this.#beside = beside;
  }

  write(data: string | Uint8Array): void {
    const touches = typeof data === 'string' ? saidTouches(data) : [];
    const send = async (): Promise<void> => this.#connection.write(data);
    const say = touches.reduceRight((said, touch) => () => this.#beside(touch, said), send);
    this.#said = this.#said.then(say).catch(() => this.#connection.close());
  }

  onText(listener: (text: string) => void): void {
    this.#connection.onText(listener);
  }

  onClose(listener: () => void): void {
    this.#connection.onClose(listener);
  }

  close(): void {
    this.#connection.close();
  }
}
