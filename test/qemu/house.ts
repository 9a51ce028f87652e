/* A real machine that is registered, and a hypervisor that works on it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Hypervisor, NotNow, openHypervisor } from '#hypervisor';
import { type Report, tagOf } from '#ledger';
import { realWorld, type World } from '#world';
import { Notebook, type Outcome, outcomeOf } from '../hypervisor/notebook.ts';
import {
  DiskLocked,
  makeDirectory,
  makeDisk,
  type RigDisk,
  type RigMachine,
  type RigOptions,
  snapshotTags,
  startQemu,
} from './rig.ts';

export interface HouseOptions extends Pick<RigOptions, 'memoryMb' | 'extraArgs'> {
  /** The letters of the disks: node `da` on the file `a.qcow2`, and so on. */
  readonly letters?: string;
  /** blkdebug's options by letter. */
  readonly blkdebug?: Readonly<Record<string, readonly string[]>>;
  /** Letters of those that are raw. */
  readonly raw?: string;
  readonly sizeMb?: number;
  readonly fault?: World['fault'];
  /** The world as the hypervisor finds it. */
  readonly world?: (real: World) => World;
}

const DISMISSAL_ATTEMPTS_MAX = 100;
const DISMISSAL_PAUSE_MS = 20;
const BOOT_ATTEMPTS_MAX = 100;
const BOOT_PAUSE_MS = 100;

/** One machine with what belongs to it. */
export class House {
  readonly dir = makeDirectory();
  readonly disks: RigDisk[];
  hypervisor: Hypervisor;
  book: Notebook;
  readonly #options: HouseOptions;
  #vm: RigMachine | null = null;

  constructor(options: HouseOptions) {
    const { letters = 'ab', blkdebug = {}, raw = '', sizeMb = 8 } = options;
    const { world = (real: World): World => real } = options;
    this.#options = options;
    this.disks = [...letters].map((letter) => {
      const format = raw.includes(letter) ? 'raw' : 'qcow2';
      const file = makeDisk(join(this.dir, `${letter}.${format}`), { format, sizeMb });
      const debug = blkdebug[letter];
      return { node: `d${letter}`, file, format, ...(debug && { blkdebug: debug }) };
    });
    this.hypervisor = this.anew(world(realWorld(options.fault)));
    this.book = new Notebook(this.hypervisor);
  }

  /** Another process that looks at the machine. */
  anew(world: World = realWorld()): Hypervisor {
    return openHypervisor({
      world,
      monitorRoots: [this.dir],
      imageRoots: [this.dir],
      worker: 'w1',
      transcriptsDir: join(this.dir, 'transcripts'),
      socketsDir: join(this.dir, 'sockets'),
    });
  }

  /**
   * QEMU's jobs, all of which should be over. Nobody waits for the dismissal of one that is: here it is waited for, since
   * QEMU does what comes over another monitor before it.
   */
  async jobsLeft(): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const jobs = (await this.vm.monitor.execute('query-jobs')) as unknown[];
      if (jobs.length === 0 || attempt === DISMISSAL_ATTEMPTS_MAX) return jobs;
      await setTimeout(DISMISSAL_PAUSE_MS);
    }
  }

  /** The machine that runs. */
  get vm(): RigMachine {
    if (!this.#vm) throw new Error('the machine is off');
    return this.#vm;
  }

  get isOn(): boolean {
    return this.#vm !== null;
  }

  /** Ends it, as a host that shuts down does. */
  async off(): Promise<void> {
    await this.vm.stop();
    this.#vm = null;
  }

  /** It has been killed. */
  forget(): void {
    this.#vm = null;
  }

  /** Somebody else has started it anew. */
  follow(vm: RigMachine): void {
    this.#vm = vm;
  }

  /** Another worker takes over. */
  succeed(hypervisor: Hypervisor): void {
    this.hypervisor = hypervisor;
    this.book = this.book.heir(hypervisor);
  }

  /** The disks to start it from, as the ledger says. */
  present(): RigDisk[] {
    return this.disks.map(({ node, file, format }) => {
      const disk = this.book.vm.disks.find(({ device }) => device === `dev-${node}`);
      if (!disk) return { node, file, format };
      return { node, file: disk.file, format: disk.format };
    });
  }

  /** Starts it, or starts it anew: then without blkdebug. Tries again while a worker has a disk locked. */
  async boot(change: Partial<RigOptions> = {}): Promise<void> {
    for (let attempt = 1; attempt <= BOOT_ATTEMPTS_MAX; attempt += 1) {
      if (await this.bootUnlessLocked(change)) return;
      await setTimeout(BOOT_PAUSE_MS);
    }
    throw new Error('somebody has a disk locked, and keeps it');
  }

  /** The same, once; false when somebody has a disk locked. */
  async bootUnlessLocked(change: Partial<RigOptions> = {}): Promise<boolean> {
    const { memoryMb = 64, extraArgs = [] } = this.#options;
    try {
      this.#vm = await startQemu({ disks: this.disks, dir: this.dir, memoryMb, extraArgs, ...change });
      return true;
    } catch (error) {
      if (error instanceof DiskLocked) return false;
      throw error;
    }
  }

  withoutFaults(): RigDisk[] {
    return this.disks.map(({ node, file, format }) => ({ node, file, format }));
  }

  fileOf(letter: string): string {
    return this.disks.find(({ node }) => node === `d${letter}`)?.file ?? '';
  }

  /** The tags in the files of all qcow2 disks, each disk's in one line. */
  tags(): string[] {
    return this.disks
      .filter(({ format }) => format === 'qcow2')
      .map(({ file }) => snapshotTags(file).join(' '));
  }

  /** What `tags` should be when exactly these snapshots stand, on every disk. */
  tagsOf(...ids: string[]): string[] {
    return this.disks.filter(({ format }) => format === 'qcow2').map(() => ids.map(tagOf).join(' '));
  }

  /** Works on the open operation until it ends, as the worker does. `meanwhile` is called at each NotNow. */
  async finish(meanwhile: (obstacle: NotNow) => Promise<void> = wait): Promise<Omit<Outcome, 'snapshotId'>> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      try {
        return outcomeOf(await this.#work());
      } catch (error) {
        if (!(error instanceof NotNow)) throw error;
        await meanwhile(error);
      }
    }
    throw new Error(`the operation has not ended after ${ATTEMPTS_MAX} attempts`);
  }

  #work(): Promise<Report> {
    return this.book.work();
  }

  /** What `qemu-img check` exits with, disk by disk. */
  health(): (number | null)[] {
    return this.disks.filter(({ format }) => format === 'qcow2').map(({ file }) => checked(file));
  }
}

const ATTEMPTS_MAX = 40;

const wait = (obstacle: NotNow): Promise<void> => realWorld().clock.sleep(Math.min(100, obstacle.afterMs));

/** A registered machine that runs. */
export async function house(options: HouseOptions = {}): Promise<House> {
  const built = new House(options);
  await built.boot();
  await built.book.register(built.vm.monitorPath);
  return built;
}

/** What `qemu-img check` exits with for a qcow2 image that nobody has open. */
export const checked = (file: string): number | null =>
  spawnSync('qemu-img', ['check', '-q', '-f', 'qcow2', file]).status;

/** Writes into an image that nobody has open. */
export function imageWrite(file: string, pattern: number): void {
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', `write -q -P ${pattern} 0 65536`, file]);
}

/** Whether an image that nobody has open holds nothing but `pattern` at its beginning. */
export function imageHolds(file: string, pattern: number): boolean {
  const command = `read -q -P ${pattern} 0 65536`;
  const { status, stdout } = spawnSync('qemu-io', ['-f', 'qcow2', '-c', command, file], { encoding: 'utf8' });
  return status === 0 && !stdout.includes('Pattern verification failed');
}
