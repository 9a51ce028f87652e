import type { Timer } from '../scheduler.ts';
import type { Image, SnapshotEntry } from './image.ts';
import type { JsonObject } from './json.ts';
import { Task, type Surroundings, type Work } from './work.ts';

export type RunState = 'prelaunch' | 'running' | 'paused' | 'restore-vm' | 'shutdown';

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
}

/** The guest outlives the process it runs in: it is started again with it. */
export class Guest {
  /** Grows whenever the guest had time to do something. */
  instant = 1;
}

/** An image as one QEMU process has it open. */
export interface OpenDisk extends DiskSetup {
  /** In the file, but not in QEMU's memory, since a roll-back that failed. */
  readonly hidden: Set<SnapshotEntry>;
}

export interface Job {
  readonly id: string;
  readonly type: string;
  status: 'running' | 'concluded';
  error: string | null;
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
 * One QEMU process: its disks, its run state, its jobs, and the one main loop in which all it is asked runs, one
 * after the other. It knows nothing of sockets.
 */
export class Machine {
  readonly surroundings: Surroundings;
  readonly name: string;
  readonly disks: readonly OpenDisk[];
  readonly guest: Guest;
  readonly audience = new Set<Audience>();
  /** Newest first, as QEMU lists them. */
  jobs: Job[] = [];
  status: RunState;
  isAlive = true;
  /** The version of the guest's memory. */
  memory = 0;
  readonly #waiting: (() => Running)[] = [];
  readonly #timers = new Set<Timer>();
  readonly #onDeath: (() => void)[] = [];
  #running: Running | null = null;

  /** The images must be free: see `lockTrouble`. */
  constructor(surroundings: Surroundings, { name, disks, isWaiting, guest }: MachineSetup) {
    this.surroundings = surroundings;
    this.name = name;
    this.guest = guest;
    this.status = isWaiting ? 'prelaunch' : 'running';
    this.disks = disks.map((disk) => ({ ...disk, hidden: new Set() }));
    for (const { image, isReadOnly } of this.disks) if (!isReadOnly) image.writer = name;
  }

  get isRunning(): boolean {
    return this.status === 'running';
  }

  /** Milliseconds since the world began, as the guest's clock. */
  get vmClockNs(): number {
    return Math.round(this.surroundings.scheduler.nowMs * 1_000_000);
  }

  /** The snapshots of a disk that QEMU knows of. */
  tableOf(disk: OpenDisk): SnapshotEntry[] {
    return disk.image.snapshots.filter((entry) => !disk.hidden.has(entry));
  }

  emit(event: string, data: JsonObject | null = null): void {
    for (const listener of this.audience) listener.hear(event, data);
  }

  /** Lets the guest do something since it was last looked at: it writes here and there, and its memory changes. */
  letGuestRun(): void {
    if (!this.isRunning) return;
    this.guest.instant += 1;
    this.memory = this.guest.instant;
    for (const { image, isReadOnly } of this.disks) {
      if (!isReadOnly && this.surroundings.chance.happens(0.6)) image.write(this.guest.instant);
    }
  }

  stop(status: RunState): void {
    if (!this.isRunning) return;
    this.status = status;
    this.emit('STOP');
  }

  resume(): void {
    if (this.isRunning) return;
    this.status = 'running';
    this.emit('RESUME');
  }

  /** Runs when the main loop gets to it. `done` is not called when the machine dies before. */
  enqueue<T>(name: string, work: () => Work<T>, done: (result: T) => void): void {
    const { scheduler } = this.surroundings;
    this.#waiting.push(
      () =>
        new Task(scheduler, `${this.name} ${name}`, work(), {
          before: () => this.#mayDie(),
          done: (result) => {
            this.#running = null;
            done(result);
            this.#next();
          },
        }),
    );
    this.#next();
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
    for (const timer of this.#timers) timer.cancel();
    for (const { image } of this.disks) image.release(this.name);
    for (const tell of this.#onDeath) tell();
  }

  /** Does nothing for a while, and answers nobody. */
  *stall(): Work<void> {
    if (!this.surroundings.faults.happens('qemu-stalled')) return;
    yield { ms: this.surroundings.chance.betweenLog(50, 40_000), what: 'stands still' };
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

/** What QEMU and qemu-img say when somebody else has the image; null when it is free. */
export function lockTrouble({ path, writer, readers }: Image, wanted: 'read' | 'write'): string | null {
  const isFree = writer === null && (wanted === 'read' || readers.size === 0);
  if (isFree) return null;
  const lock = wanted === 'read' ? 'shared "write"' : '"write"';
  return `Failed to get ${lock} lock\nIs another process using the image [${path}]?`;
}
