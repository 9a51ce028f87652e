import { ConnectTrouble, FileTrouble, type Finished, type RunOptions } from '#world';
import type { Chance } from './chance.ts';
import type { Fate } from './faults.ts';
import type { Hands } from './point-faults.ts';
import type { SavedMemory } from './qemu/content.ts';
import { copyTool } from './qemu/copy-tool.ts';
import type { Image, Watcher } from './qemu/image.ts';
import { imageTool } from './qemu/image-tool.ts';
import type { Receiver } from './qemu/migrating.ts';
import { Shelf } from './qemu/shelf.ts';
import { Task, type Surroundings, type Work } from './qemu/work.ts';
import type { Scheduler } from './scheduler.ts';
import { directoryOf, FileTree } from './simulated-files.ts';
import { type Socket, socketPair } from './socket.ts';
import { Violation } from './violation.ts';
import { isImage, writtenImage } from './qemu/written-image.ts';

/** 2026-11-21T11:30:00Z: where every simulated calendar begins. */
const EPOCH_MS = 1_795_260_600_000;
const FULL_LEAST_MS = 100;
const FULL_MOST_MS = 30_000;
/** The only text that is written into a file as a whole. */
const SIGN = /\/sl-[0-9a-f-]+-going-down$/;
/** What such a text holds that says more than where it began. */
const SIGN_SAYS_ENOUGH = /"times":\[\[|"isOver":true/;
const JUMP_MOST_MS = 36 * 60 * 60_000;

/** Whoever listens at the path of a socket. */
export interface Listener {
  /** False when too many wait there already. */
  accept(socket: Socket): boolean;
}

/** A machine of this host. `sees`: which command of qemu-img is started beside it. */
interface Neighbour {
  readonly monitorPath: string;
  readonly machine: { kill(why: string): void } | null;
  readonly sees: (args: readonly string[]) => void;
}

/** A program of this host beside qemu-img: what it is called with stands in its environment. */
export type Program = (env: Readonly<Record<string, string>>) => Work<Finished>;

/** A QEMU that waits for its memory; `done` hears whether it could take it up. */
export type Incoming = (memory: SavedMemory | null, done: (isTaken: boolean) => void) => void;

/**
 * The computer on which it all happens: its clock, its files, who listens where. It outlives ledgerd
 * and every QEMU; they share nothing but it.
 */
export class SimulatedHost implements Surroundings {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly faults: Fate;
  readonly files = new FileTree(() => this.wallMs());
  readonly shelf: Shelf;
  /** Who listens at which path. A path that exists as a file and not here is a dead process's socket. */
  readonly listeners = new Map<string, Listener>();
  readonly receivers = new Map<string, Receiver>();
  readonly incoming = new Map<string, Incoming>();
  readonly programs = new Map<string, Program>();
  /** Who has locked which name. */
  readonly locks = new Map<string, object>();
  /** How often one was locked that somebody wanted. */
  lockedOutCount = 0;
  /** When the guest whose images lie in a directory was last at work, and who is told of what changes there. */
  readonly #guests = new Map<string, { readonly instant: () => number; watcher: Watcher }>();
  /** What runs here beside ledgerd, each with what ends it. */
  readonly #processes = new Set<() => void>();
  #serials = 0;
  #jumpedMs = 0;
  /** When the clock was last put back, in ms since the beginning. */
  putBackAtMs = -1;

  constructor(scheduler: Scheduler, chance: Chance, faults: Fate) {
    this.scheduler = scheduler;
    this.chance = chance;
    this.faults = faults;
    this.shelf = new Shelf(this.files, ({ path }) => this.#guests.get(directoryOf(path))?.instant() ?? 0);
    this.files.onImage = (image) => {
      image.watcher = (change, entry) =>
        this.#guests.get(directoryOf(image.path))?.watcher(change, entry, image);
    };
  }

  readonly wallMs = (): number => Math.floor(EPOCH_MS + this.#jumpedMs + this.scheduler.nowMs);

  /** Virtual machines that live here. */
  readonly vms: Neighbour[] = [];

  /** What may be done to all of it from outside. */
  readonly hands: Omit<Hands, 'kill' | 'interrupt'> = {
    killQemu: () => {
      const machine = this.chance.pick(this.vms.flatMap(({ machine }) => machine ?? []));
      machine?.kill('dies at a point');
      return machine !== undefined;
    },
    fillDisk: () => this.fillDisk(this.chance.betweenLog(FULL_LEAST_MS, FULL_MOST_MS)),
    jumpClock: () => this.jumpClock(),
  };

  readonly isFull = (): boolean => this.files.isFull;

  readonly newSerial = (): number => (this.#serials += 1);

  readonly imageAt = (path: string): Image | undefined => this.files.image(path);

  readonly receiverAt = (path: string): Receiver | null => this.receivers.get(path) ?? null;

  /** Puts the clock forward or back. */
  jumpClock(): void {
    const byMs = Math.round(this.chance.between(-JUMP_MOST_MS, JUMP_MOST_MS));
    this.#jumpedMs += byMs;
    if (byMs < 0) this.putBackAtMs = this.scheduler.nowMs;
    this.scheduler.note(`the clock jumps to ${this.wallMs()}`);
  }

  /** Whoever runs here is told when the power goes; the answer is for those who end before. */
  onPowerLoss(end: () => void): () => void {
    this.#processes.add(end);
    return () => this.#processes.delete(end);
  }

  /** All processes are gone at once, and so is what no directory holds for good. */
  losePower(): void {
    this.scheduler.note('the power goes');
    for (const end of [...this.#processes]) end();
    this.files.losePower((changesCount) => this.chance.below(changesCount + 1));
  }

  /** For a while nothing can be written that needs new space. */
  fillDisk(ms: number): void {
    this.files.isFull = true;
    this.scheduler.note('the disk is full');
    this.scheduler.after(ms, 'the disk has space again', () => (this.files.isFull = false));
  }

  /** An image that ledgerd itself writes, or its sign. Of one that it wrote only the beginning of there is nothing else to tell. */
  fill(path: string, bytes: Uint8Array): void {
    if (SIGN.test(path)) return this.files.fill(path, Buffer.from(bytes).toString());
    if (!isImage(bytes)) throw new Error(`what is written into ${path} is no qcow2 image`);
    const user = this.files.image(path);
    if (user?.writer || user?.readers.size)
      throw new Violation('what is open is not wiped', `${path} is filled anew`);
    if (this.files.isFull || this.faults.happens('create-no-space'))
      throw new FileTrouble('ENOSPC', path, `ENOSPC: no space left on device, write '${path}'`);
    this.files.putImage(writtenImage(path, bytes));
  }

  /** Whether somebody has written below overlays, and nothing tells when last. */
  isPushOpen(directory: string): boolean {
    const signs = this.files
      .list(directory)
      .map((name) => `${directory}/${name}`)
      .filter((path) => SIGN.test(path));
    return signs.some((path) => !SIGN_SAYS_ENOUGH.test(this.files.text(path)));
  }

  /** What is in a file; null of images, and of what holds nothing. */
  startOf(path: string): Uint8Array | null {
    const text = path === '/proc/locks' ? this.files.locks() : this.files.start(path);
    return text === null ? null : Buffer.from(text);
  }

  /** A directory with the images of one guest. */
  addDirectory(directory: string, instant: () => number): void {
    this.files.makeDirectory(directory);
    this.#guests.set(directory, { instant, watcher: () => undefined });
  }

  /** Is told of every change to a table of snapshots in a directory, right before it happens. */
  watch(directory: string, watcher: Watcher): void {
    const guest = this.#guests.get(directory);
    if (guest) guest.watcher = watcher;
  }

  listen(path: string, listener: Listener): void {
    this.files.makeDirectory(directoryOf(path));
    this.files.bind(path);
    this.listeners.set(path, listener);
  }

  /** The caller's end of a new connection. Throws `ConnectTrouble` as the kernel would. */
  connect(path: string): Socket {
    const found = this.files.stat(path);
    if (!found) throw new ConnectTrouble('ENOENT', path, `connect ENOENT ${path}`);
    const listener = this.listeners.get(path);
    if (!listener) throw new ConnectTrouble('ECONNREFUSED', path, `connect ECONNREFUSED ${path}`);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const [ours, theirs] = socketPair(this.scheduler, this.chance, name);
    if (!listener.accept(theirs)) throw new ConnectTrouble('EAGAIN', path, `connect EAGAIN ${path}`);
    return ours;
  }

  /** Starts a child process; what ends it. */
  run(
    program: string,
    args: readonly string[],
    { timeoutMs, env = {}, isTooLate }: RunOptions,
    done: (finished: Finished) => void,
  ): () => void {
    if (isTooLate?.()) {
      done({ code: null, stdout: '', stderr: 'it would have begun too late' });
      return () => undefined;
    }
    const holder = `${program}#${this.newSerial()}`;
    const work = this.#work(program, args, { holder, env });
    if (!work) {
      done({ code: null, stdout: '', stderr: `spawn ${program} ENOENT` });
      return () => undefined;
    }
    let isOver = false;
    const killed = (): void => {
      if (isOver) return;
      task.drop();
      timeout.cancel();
      over();
      for (const image of this.files.images()) image.release(holder);
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
        over();
        done(finished);
      },
    });
    const forget = this.onPowerLoss(killed);
    const over = (): void => {
      isOver = true;
      forget();
    };
    this.scheduler.note(`${holder} ${args.join(' ')}`);
    if (program === 'qemu-img') for (const { sees } of this.vms) sees(args);
    task.start();
    return killed;
  }

  #work(
    program: string,
    args: readonly string[],
    { holder, env }: { holder: string; env: Readonly<Record<string, string>> },
  ): Work<Finished> | null {
    const tools = { surroundings: this, shelf: this.shelf, holder };
    if (program === 'qemu-img') return imageTool(tools, args);
    if (program === 'cp') return copyTool(tools, args);
    return this.programs.get(program)?.(env) ?? null;
  }
}
