/* A machine whose memory and disks tell by themselves which instant they are from, and a ledgerd that knows it. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseHumanText } from '#qmp';
import { BOOT_SECTOR } from '../../deploy/demo/boot-sector.ts';
import {
  guestReadNumber,
  imageNumber,
  makeDirectory,
  makeDisk,
  type RigDisk,
  type RigMachine,
  startQemu,
} from '../qemu/rig.ts';

/** Where the guest of the demo counts: in memory, and on both disks. */
const COUNTER_ADDRESS = '0x9000';
const COUNTER_OFFSET = 51_200;
const NODES = ['da', 'db'];
const COUNT_ATTEMPTS_MAX = 500;
const COUNT_PAUSE_MS = 20;

/** What the counters say. */
export interface Count {
  /** NaN while the machine is off. */
  readonly memory: number;
  readonly disks: readonly number[];
}

/** A VM as the API shows it, as far as it matters here. */
export interface Shown {
  readonly disks: readonly { readonly device: string; readonly file: string }[];
}

export class Witness {
  readonly directory = makeDirectory();
  #files: readonly string[];
  #machine: RigMachine | null = null;

  constructor() {
    const raw = join(this.directory, 'boot.raw');
    const sectors = Buffer.alloc(16 * 1024 * 1024);
    BOOT_SECTOR.copy(sectors);
    writeFileSync(raw, sectors);
    const [a, b] = [join(this.directory, 'a.qcow2'), join(this.directory, 'b.qcow2')];
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, a]);
    this.#files = [a, makeDisk(b, { sizeMb: 16 })];
  }

  get monitorPath(): string {
    return join(this.directory, 'qmp-0.sock');
  }

  get machine(): RigMachine {
    if (!this.#machine) throw new Error('the machine is off');
    return this.#machine;
  }

  /** Starts it from the files that the ledger names. */
  async boot(shown?: Shown): Promise<void> {
    if (shown) this.#files = shown.disks.map(({ file }) => file);
    const disks = this.#files.map((file, n): RigDisk => ({ node: NODES[n] ?? '', file, format: 'qcow2' }));
    this.#machine = await startQemu({ disks, dir: this.directory, memoryMb: 32 });
  }

  async off(): Promise<void> {
    await this.#machine?.stop();
    this.#machine = null;
  }

  /** Waits until the guest has counted so far, in memory and on its disks. */
  async countedTo(goal: number): Promise<Count> {
    for (let attempt = 1; attempt <= COUNT_ATTEMPTS_MAX; attempt += 1) {
      const memory = await this.#memory();
      if (memory >= goal) return { memory, disks: await this.disks() };
      await setTimeout(COUNT_PAUSE_MS);
    }
    throw new Error(`the guest has not counted to ${goal}`);
  }

  async count(): Promise<Count> {
    return { memory: await this.#memory(), disks: await this.disks() };
  }

  async #memory(): Promise<number> {
    const line = { 'command-line': `xp /1uw ${COUNTER_ADDRESS}` };
    const text = parseHumanText(await this.machine.monitor.execute('human-monitor-command', line));
    return Number(/:\s*(\d+)/.exec(text)?.[1] ?? Number.NaN);
  }

  async disks(): Promise<number[]> {
    const numbers: number[] = [];
    for (const node of NODES) numbers.push(await guestReadNumber(this.machine, node, COUNTER_OFFSET));
    return numbers;
  }

  /** What stands on the disks of a machine that is off. */
  images({ disks }: Shown): Count {
    return { memory: Number.NaN, disks: disks.map(({ file }) => imageNumber(file, COUNTER_OFFSET)) };
  }
}
