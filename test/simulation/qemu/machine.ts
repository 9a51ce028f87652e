import type { Timer } from '../scheduler.ts';
import { BlockGraph, type BlockNode, type Device } from './block-graph.ts';
import type { SavedMemory } from './content.ts';
import type { Guest, GuestDisk } from './guest.ts';
import type { Image, SnapshotEntry } from './image.ts';
import type { JsonObject } from './json.ts';
import type { Migration } from './migrating.ts';
import { openWithChain } from './opening.ts';
import { Task, type Surroundings, type Work } from './work.ts';

export type RunState =
  | 'prelaunch'
  | 'running'
  | 'paused'
  | 'restore-vm'
  | 'shutdown'
  | 'inmigrate'
  | 'postmigrate';

/** What a machine is started with. */
export interface DiskSetup {
  readonly node: string;
  /** The id of the guest's device; null for a node that no device uses. */
  readonly device: string | null;
  readonly image: Image;
  readonly isReadOnly?: boolean;
}

export interface MachineSetup {
  readonly name: string;
  readonly disks: readonly DiskSetup[];
  /** Started with `-S` it waits for `cont`. */
  readonly isWaiting: boolean;
  readonly guest: Guest;
  /** Waits for its memory, and begins with that. */
  readonly isIncoming?: boolean;
}

export type JobStatus = 'running' | 'ready' | 'pending' | 'concluded';

export interface Job {
  readonly id: string;
  readonly type: string;
  status: JobStatus;
  error: string | null;
  /** How much is done, of how much. */
  done: number;
  total: number;
  /** It is listed no more once it is over. */
  readonly dismissesItself: boolean;
  /** What `job-finalize` and `job-complete` set off; absent: it cannot be told to end. */
  end?: () => void;
  /** Absent: it cannot be cancelled. */
  cancel?: () => void;
}

/** Who hears the machine's events. */
export interface Audience {
  hear(event: string, data: JsonObject | null): void;
}

interface Running {
  start(): void;
  drop(): void;
}

/**
 * One QEMU process: its images, its run state, its jobs, and the one main loop in which all it is asked runs, one
 * after the other. It knows nothing of sockets.
 */
export class Machine {
  readonly surroundings: Surroundings;
  readonly name: string;
  readonly graph: BlockGraph;
  readonly guest: Guest;
  readonly audience = new Set<Audience>();
  /** Newest first, as QEMU lists them. */
  jobs: Job[] = [];
  /** Hears of every block before the guest writes it. */
  readonly beforeWrite = new Set<(node: BlockNode, block: number) => void>();
  migration: Migration | null = null;
  migrationBytesPerS = 134_217_728;
  status: RunState;
  isAlive = true;
  /** Whether anybody has asked what it stands on. */
  isLookedAt = false;
  readonly #waiting: (() => Running)[] = [];
  readonly #timers = new Set<Timer>();
  readonly #beside = new Set<Running>();
  readonly #onDeath: (() => void)[] = [];
  #running: Running | null = null;

  /** Throws a `QmpError` when an image is in use. */
  constructor(
    surroundings: Surroundings,
    { name, disks, isWaiting, guest, isIncoming = false }: MachineSetup,
  ) {
    this.surroundings = surroundings;
    this.name = name;
    this.guest = guest;
    this.status = isIncoming ? 'inmigrate' : isWaiting ? 'prelaunch' : 'running';
    this.graph = new BlockGraph(name);
    for (const { node, device, image, isReadOnly = false } of disks) {
      const top = openWithChain(this, image, { name: node, fileName: `${node}_f`, isReadOnly });
      if (device !== null) this.graph.devices.push({ id: device, node: top });
    }
    this.graph.settle();
    if (!isIncoming) guest.boot(this.#disks);
  }

  get isRunning(): boolean {
    return this.status === 'running';
  }

  /** Milliseconds since the world began, as the guest's clock. */
  get vmClockNs(): number {
    return Math.round(this.surroundings.scheduler.nowMs * 1_000_000);
  }

  /** The snapshots of an image that QEMU knows of. */
  tableOf({ image, hidden }: BlockNode): SnapshotEntry[] {
    const all = image?.snapshots ?? [];
    return hidden.size === 0 ? all : all.filter((entry) => !hidden.has(entry));
  }

  emit(event: string, data: JsonObject | null = null): void {
    for (const listener of this.audience) listener.hear(event, data);
  }

  /** Lets the guest do something since it was last looked at. */
  letGuestRun(): void {
    if (this.isRunning) this.guest.run(this.#disks, (end) => this.surroundings.chance.below(end));
  }

  /** All that is not on disk yet is written, also when it stands still already. */
  stop(status: RunState): void {
    this.graph.flush();
    if (!this.isRunning) return;
    this.status = status;
    this.emit('STOP');
  }

  resume(): void {
    if (this.isRunning) return;
    if (this.status === 'postmigrate') this.graph.settle();
    this.status = 'running';
    this.emit('RESUME');
  }

  /** As if somebody had pressed the button. */
  reset(): void {
    this.guest.boot(this.#disks);
    if (!this.isRunning) this.status = 'prelaunch';
    this.emit('RESET', { guest: false, reason: 'host-qmp-system-reset' });
  }

  /** The guest goes on from there. */
  restore(memory: SavedMemory): void {
    this.guest.restore(memory);
  }

  /** Runs when the main loop gets to it. `done` is not called when the machine dies before. */
  enqueue<T>(name: string, work: () => Work<T>, done: (result: T) => void): void {
    this.#waiting.push(() =>
      this.#task(name, work(), (result) => {
        this.#running = null;
        done(result);
        this.#next();
      }),
    );
    this.#next();
  }

  /** Runs beside the main loop. */
  beside(name: string, work: Work<void>): void {
    const task = this.#task(name, work, () => this.#beside.delete(task));
    this.#beside.add(task);
    task.start();
  }

  /** Something this process does later, beside its main loop. */
  later(ms: number, what: string, action: () => void): void {
    const timer = this.surroundings.scheduler.after(ms, `${this.name} ${what}`, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
  }

  onDeath(listener: () => void): void {
    this.#onDeath.push(listener);
  }

  /** SIGKILL: nothing is tidied up, and every lock is free at once. */
  kill(why = 'killed'): void {
    if (!this.isAlive) return;
    this.surroundings.scheduler.note(`${this.name} ${why}`);
    this.isAlive = false;
    this.#running?.drop();
    this.#waiting.length = 0;
    for (const task of this.#beside) task.drop();
    for (const timer of this.#timers) timer.cancel();
    this.graph.abandon();
    for (const tell of this.#onDeath) tell();
  }

  /** Does nothing for a while, and answers nobody. */
  *stall(): Work<void> {
    if (!this.surroundings.faults.happens('qemu-stalled')) return;
    yield { ms: this.surroundings.chance.betweenLog(50, 40_000), what: 'stands still' };
  }

  get #disks(): GuestDisk[] {
    return this.graph.devices.map((device) => this.#diskOf(device));
  }

  #diskOf({ id, node }: Device): GuestDisk {
    return {
      device: id,
      isReadOnly: node.isReadOnly || !node.image,
      read: () => this.graph.read(node),
      write: (block, value) => {
        for (const hear of this.beforeWrite) hear(node, block);
        node.image?.write(block, value);
      },
    };
  }

  #task<T>(name: string, work: Work<T>, done: (result: T) => void): Task<T> {
    const { scheduler } = this.surroundings;
    return new Task(scheduler, `${this.name} ${name}`, work, { before: () => this.#mayDie(), done });
  }

  #mayDie(): void {
    if (this.surroundings.faults.happens('qemu-killed')) this.kill();
  }

  #next(): void {
    if (this.#running || !this.isAlive) return;
    const start = this.#waiting.shift();
    if (!start) return;
    this.#running = start();
    this.#running.start();
  }
}
