import { ConnectTrouble, type Finished, type RunOptions } from '#world';
import type { Chance } from './chance.ts';
import type { Fate } from './faults.ts';
import type { Image } from './qemu/image.ts';
import { imageTool, type Shelf } from './qemu/image-tool.ts';
import type { Monitor } from './qemu/monitor.ts';
import { Task, type Surroundings } from './qemu/work.ts';
import type { Scheduler } from './scheduler.ts';
import { FileTree } from './simulated-files.ts';
import { type Socket, socketPair } from './socket.ts';

/** 2026-11-21T11:30:00Z: where every simulated calendar begins. */
const EPOCH_MS = 1_795_260_600_000;
const JUMP_MOST_MS = 36 * 60 * 60_000;

/**
 * The computer on which it all happens: its clock, its files, its images, who listens where. It outlives ledgerd
 * and every QEMU; they share nothing but it.
 */
export class SimulatedHost implements Surroundings {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly faults: Fate;
  readonly files = new FileTree();
  readonly images = new Map<string, Image>();
  /** Who listens at which path. A path that exists as a file and not here is a dead process's socket. */
  readonly monitors = new Map<string, Monitor>();
  /** When the guest that uses an image was last at work. */
  readonly instants = new Map<Image, () => number>();
  #serials = 0;
  #jumpedMs = 0;

  constructor(scheduler: Scheduler, chance: Chance, faults: Fate) {
    this.scheduler = scheduler;
    this.chance = chance;
    this.faults = faults;
  }

  readonly wallMs = (): number => Math.floor(EPOCH_MS + this.#jumpedMs + this.scheduler.nowMs);

  readonly isFull = (): boolean => this.files.isFull;

  readonly newSerial = (): number => (this.#serials += 1);

  /** Puts the clock forward or back. */
  jumpClock(): void {
    this.#jumpedMs += Math.round(this.chance.between(-JUMP_MOST_MS, JUMP_MOST_MS));
    this.scheduler.note(`the clock jumps to ${this.wallMs()}`);
  }

  /** For a while nothing can be written that needs new space. */
  fillDisk(ms: number): void {
    this.files.isFull = true;
    this.scheduler.note('the disk is full');
    this.scheduler.after(ms, 'the disk has space again', () => (this.files.isFull = false));
  }

  addImage(image: Image, instant: () => number): void {
    this.images.set(image.path, image);
    this.instants.set(image, instant);
    this.files.makeDirectory(image.path.slice(0, image.path.lastIndexOf('/')));
    this.files.make(image.path, 'file');
  }

  listen(path: string, monitor: Monitor): void {
    this.files.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    this.files.make(path, 'socket');
    this.monitors.set(path, monitor);
  }

  /** The caller's end of a new connection. Throws `ConnectTrouble` as the kernel would. */
  connect(path: string): Socket {
    const found = this.files.stat(path);
    if (!found) throw new ConnectTrouble('ENOENT', path, `connect ENOENT ${path}`);
    const monitor = this.monitors.get(path);
    if (!monitor) throw new ConnectTrouble('ECONNREFUSED', path, `connect ECONNREFUSED ${path}`);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const [ours, theirs] = socketPair(this.scheduler, this.chance, name);
    if (!monitor.accept(theirs)) throw new ConnectTrouble('EAGAIN', path, `connect EAGAIN ${path}`);
    return ours;
  }

  /** Starts a child process. It lives on when whoever started it dies. */
  run(args: readonly string[], { timeoutMs }: RunOptions, done: (finished: Finished) => void): void {
    const holder = `qemu-img#${this.newSerial()}`;
    const work = imageTool({ surroundings: this, shelf: this.#shelf, holder }, args);
    const killed = (): void => {
      task.drop();
      timeout.cancel();
      for (const image of this.images.values()) image.release(holder);
      this.scheduler.note(`${holder} is killed`);
      done({ code: null, stdout: '', stderr: '' });
    };
    const timeout = this.scheduler.after(timeoutMs, `${holder} takes too long`, killed);
    const task = new Task(this.scheduler, holder, work, {
      before: () => {
        if (this.faults.happens('image-tool-killed')) killed();
      },
      done: (finished) => {
        timeout.cancel();
        done(finished);
      },
    });
    this.scheduler.note(`${holder} ${args.join(' ')}`);
    task.start();
  }

  get #shelf(): Shelf {
    return { images: this.images, instantOf: (image) => this.instants.get(image)?.() ?? 0 };
  }
}
