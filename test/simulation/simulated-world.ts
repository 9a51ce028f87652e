import { v7 } from 'uuid';
import {
  type Connection,
  type Files,
  type FileStat,
  type Finished,
  type Lock,
  named,
  type RunOptions,
  type World,
} from '#world';
import type { Chance } from './chance.ts';
import type { Coming } from './point-faults.ts';
import type { Timer } from './scheduler.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { streamsOf } from './simulated-streams.ts';
import type { Socket } from './socket.ts';
import { Violation } from './violation.ts';

/** Of a file system whose writes go to memory first. */
const FILE_MS = 0.05;
/** Of one that waits for the disk. */
const FILL_MS = 1;
const TURN_MS = 0.01;
const CONNECT_MS = 0.1;
const DISK_FREE_BYTES = 100 * 1024 ** 3;

/** What a test may do at a named point of the program: let it pass (null), hold it up, throw, or kill the process. */
export type AtPoint = (name: string, process: SimulatedProcess) => Coming | null;

const PASSED = Promise.resolve();
const DEAD: Coming = { ms: 0, act: () => undefined };

/**
 * One process on the simulated host, and the world it is lent. Two of them share nothing but the host. Killed, none of
 * its promises ever settles again, its timers and sockets are gone, and what it still calls does nothing.
 */
export class SimulatedProcess {
  readonly name: string;
  readonly world: World;
  isAlive = true;
  readonly #host: SimulatedHost;
  readonly #chance: Chance;
  readonly #atPoint: AtPoint;
  readonly #onDeath: () => void;
  readonly #timers = new Set<Timer>();
  /** Programs that end with it. */
  readonly #children = new Set<{ end?: () => void }>();
  readonly #sockets = new Set<Socket>();
  readonly #undos = new Set<() => void>();

  constructor(
    host: SimulatedHost,
    name: string,
    hooks: { readonly atPoint: AtPoint; readonly onDeath: () => void },
  ) {
    this.#host = host;
    this.name = name;
    this.#chance = host.chance.fork(name);
    this.#atPoint = hooks.atPoint;
    this.#onDeath = hooks.onDeath;
    this.world = named({
      clock: {
        now: () => host.wallMs(),
        monotonic: () => host.scheduler.nowMs,
        sleep: (ms, signal) => this.#sleep(ms, signal),
      },
      ids: { uuid: () => this.#uuid() },
      random: { next: () => this.#chance.next() },
      files: this.#files(),
      run: (program, args, options) => this.#run(program, args, options),
      connect: (path) => this.#connect(path),
      lock: (name) => this.#later(FILE_MS, `locks ${name}`, () => this.#lock(name)),
      streams: streamsOf(
        host,
        (ms, what, produce) => this.#later(ms, what, produce),
        (undo) => void this.#undos.add(undo),
      ),
      turn: () => this.#later(TURN_MS, 'turn', () => undefined),
      fault: (point) => this.#fault(point),
    });
  }

  /** Most points are passed without anything, and cost no event. */
  #fault(point: string): Promise<void> {
    const coming = this.isAlive ? this.#atPoint(point, this) : DEAD;
    return coming ? this.#later(coming.ms, point, coming.act) : PASSED;
  }

  /** SIGKILL. */
  kill(why: string): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#host.scheduler.note(`${this.name} is killed: ${why}`);
    for (const timer of this.#timers) timer.cancel();
    for (const socket of this.#sockets) socket.die();
    for (const undo of this.#undos) undo();
    for (const { end } of this.#children) end?.();
    this.#onDeath();
  }

  #uuid(): string {
    const random = this.#chance.bytes(16);
    return v7({ msecs: this.#host.wallMs(), random, seq: this.#chance.uint32() });
  }

  /** Whoever is dead by then never hears of it. */
  #later<T>(ms: number, what: string, produce: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#after(ms, what, () => {
        try {
          const value = produce();
          if (this.isAlive) resolve(value);
        } catch (error) {
          if (error instanceof Violation) throw error; // The program would take it for the host's answer.
          reject(error);
        }
      });
    });
  }

  #after(ms: number, what: string, action: () => void): Timer | null {
    if (!this.isAlive) return null;
    const timer = this.#host.scheduler.after(ms, `${this.name} ${what}`, () => {
      this.#timers.delete(timer);
      if (this.#host.faults.happens('ledgerd-killed')) return this.kill('at any time');
      action();
    });
    this.#timers.add(timer);
    return timer;
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (!this.isAlive) return;
      if (signal?.aborted) return resolve();
      const wake = (): void => {
        timer?.cancel();
        if (timer) this.#timers.delete(timer);
        signal?.removeEventListener('abort', wake);
        if (this.isAlive) resolve();
      };
      const timer = this.#after(ms, `wakes after ${ms.toFixed(1)} ms`, wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  #stat(path: string): FileStat | null {
    const { files, scheduler } = this.#host;
    files.lookedAtMs.set(path, scheduler.nowMs);
    return files.stat(path);
  }

  #files(): Files {
    const { files } = this.#host;
    const io = <T>(what: string, produce: () => T): Promise<T> => this.#later(FILE_MS, what, produce);
    return {
      stat: (path) => io(`stat ${path}`, () => this.#stat(path)),
      realpath: (path) => io(`realpath ${path}`, () => (files.stat(path) ? path : null)),
      // Nobody but qemu-img can read a simulated image.
      start: (path) => io(`read ${path}`, () => this.#host.startOf(path)),
      append: (path, text) => io(`append ${path}`, () => files.append(path, text)),
      makeNew: (path) =>
        io(`make ${path}`, () => {
          const isNew = files.stat(path) === null;
          files.make(path, 'file');
          return isNew;
        }),
      fill: (path, bytes) => this.#later(FILL_MS, `fill ${path}`, () => this.#host.fill(path, bytes)),
      makeDirectory: (path) => io(`mkdir ${path}`, () => files.makeDirectory(path)),
      makePrivateDirectory: (path) => io(`mkdir ${path}`, () => files.makeDirectory(path)),
      rename: (from, to) => io(`rename ${from}`, () => files.rename(from, to)),
      list: (path) => io(`list ${path}`, () => files.list(path)),
      unlink: (path) => io(`unlink ${path}`, () => files.unlink(path)),
      syncDirectory: (path) => io(`sync ${path}`, () => files.syncDirectory(path)),
      syncFile: (path) => io(`sync ${path}`, () => undefined),
      freeBytes: (path) => io(`df ${path}`, () => (files.isFull ? 0 : DISK_FREE_BYTES)),
    };
  }

  #run(program: string, args: readonly string[], options: RunOptions): Promise<Finished> {
    return new Promise((resolve) => {
      if (!this.isAlive) return;
      if (program === 'sync') return resolve({ code: 0, stdout: '', stderr: '' });
      const child: { end?: () => void } = {};
      if (!options.leavesOthersBehind) this.#children.add(child);
      child.end = this.#host.run(program, args, options, (finished) => {
        this.#children.delete(child);
        if (this.isAlive) resolve(finished);
      });
    });
  }

  #lock(name: string): Lock | null {
    const { locks } = this.#host;
    if (locks.has(name)) {
      this.#host.lockedOutCount += 1;
      return null;
    }
    const lock = {
      release: (): void => {
        if (locks.get(name) === lock) locks.delete(name);
        this.#undos.delete(lock.release);
      },
    };
    locks.set(name, lock);
    this.#undos.add(lock.release);
    return lock;
  }

  async #connect(path: string): Promise<Connection> {
    const socket = await this.#later(CONNECT_MS, `connects to ${path}`, () => this.#host.connect(path));
    this.#sockets.add(socket);
    socket.onClose(() => this.#sockets.delete(socket));
    return {
      write: (data) => socket.send(typeof data === 'string' ? data : Buffer.from(data).toString()),
      onText: (listener) => socket.onText(listener),
      onClose: (listener) => socket.onClose(listener),
      close: () => socket.close(),
    };
  }
}
