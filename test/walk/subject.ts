/* The real machine of a walk: its disks and its memory, written and read from outside while the guest does nothing. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { v7 } from 'uuid';
import { startAgent, type TestAgent } from '../qemu/guest-agent.ts';
import { House } from '../qemu/house.ts';
import { type LaunchedHouse, withLauncher } from '../qemu/launcher.ts';
import { guestReadPattern, guestWrite } from '../qemu/rig.ts';
import { type Content, DISK_MB, type Machine, SLOT_BYTES, SLOTS, type Write } from './model.ts';

const run = promisify(execFile);

const MEMORY_MB = 16;
/** Where neither the BIOS nor anything else of a machine without a guest writes. */
const MEMORY_OFFSET = 6 * 1024 * 1024;
const MEMORY_BYTES = 128 * 1024;

export class Subject {
  readonly home: House;
  /** Files that a caller made for captures that did not come about. */
  readonly callers = new Set<string>();

  readonly #hasLauncher: boolean;
  #launcher: LaunchedHouse | null = null;
  #agent: TestAgent | null = null;
  /** Of the QEMU that was started last. */
  #pid = 0;

  constructor({ letters, raw, hasLauncher }: Machine) {
    this.home = new House({ letters, raw, sizeMb: DISK_MB, memoryMb: MEMORY_MB });
    this.#hasLauncher = hasLauncher;
  }

  /** Starts the machine, with an agent in its guest, and registers it. */
  async begin(): Promise<void> {
    await this.boot();
    await this.home.book.register(this.home.vm.monitorPath);
    this.#agent = await startAgent(join(this.home.dir, 'agent.sock'));
    this.home.book.handle({ type: 'ChangeVm', change: { guestAgent: this.#agent.path } });
    if (this.#hasLauncher) this.#launcher = await withLauncher(this.home, { extra: this.#memoryWords });
  }

  get isFrozen(): boolean {
    return this.#agent?.isFrozen === true;
  }

  get #memoryPath(): string {
    return join(this.home.dir, 'ram');
  }

  /** The memory is a file that others see too. */
  get #memoryWords(): string[] {
    const memory = `memory-backend-file,id=ram,size=${MEMORY_MB}M,mem-path=${this.#memoryPath},share=on`;
    return ['-m', String(MEMORY_MB), '-object', memory, '-machine', 'memory-backend=ram'];
  }

  async boot(): Promise<void> {
    rmSync(this.#memoryPath, { force: true });
    await this.home.boot({ disks: this.home.present(), extraArgs: this.#memoryWords });
    this.#pid = this.home.vm.pid;
    this.#launcher?.isTold(this.#pid);
  }

  /** Takes notice of a machine that the launcher has started. */
  async follow(): Promise<void> {
    if (!this.#launcher || this.#launcher.pid() === this.#pid) return;
    this.home.follow(await this.#launcher.machine());
    this.#pid = this.home.vm.pid;
  }

  /** Ends all of it. */
  async leave(): Promise<void> {
    await this.#agent?.close();
    if (this.#launcher && this.#launcher.pid() !== this.#pid) this.#launcher.kill(); // It was not noticed yet.
    if (this.home.isOn) await this.home.vm.kill();
    await this.home.hypervisor.close();
    rmSync(this.home.dir, { recursive: true, force: true });
  }

  setMemory(number: number): void {
    const words = Buffer.from(new Uint32Array(MEMORY_BYTES / 4).fill(number).buffer);
    const file = openSync(this.#memoryPath, 'r+');
    writeSync(file, words, 0, words.length, MEMORY_OFFSET);
    closeSync(file);
  }

  /** NaN when not all of it is the same. */
  memory(): number {
    const words = new Uint32Array(MEMORY_BYTES / 4);
    const file = openSync(this.#memoryPath, 'r');
    readSync(file, words, 0, MEMORY_BYTES, MEMORY_OFFSET);
    closeSync(file);
    return words.every((word) => word === words[0]) ? (words[0] ?? Number.NaN) : Number.NaN;
  }

  async write({ letter, first, count, pattern }: Write): Promise<void> {
    const [offset, length] = [first * SLOT_BYTES, count * SLOT_BYTES];
    if (this.home.isOn) return guestWrite(this.home.vm, `d${letter}`, pattern, { offset, length });
    const { file, format } = this.top(letter);
    await run('qemu-io', ['-f', format, '-c', `write -q -P ${pattern} ${offset} ${length}`, file]);
  }

  /** What the ledger says the machine writes on. */
  top(letter: string): { file: string; format: string } {
    const disk = this.home.book.vm.disks.find(({ device }) => device === `dev-d${letter}`);
    if (!disk) throw new Error(`the ledger has no disk ${letter}`);
    return disk;
  }

  /** Where the disk is not what it should be, in words. */
  async whyNot(letter: string, expected: Content): Promise<string[]> {
    if (this.home.isOn) await this.#flush(letter);
    const wrong = await this.whyNotIn(this.top(letter), expected);
    if (wrong.length > 0) return wrong.map((words) => `disk ${letter} ${words}`);
    return this.home.isOn ? this.#whyGuestReadsOtherwise(letter, expected) : [];
  }

  /** The same of any image. */
  async whyNotIn({ file, format }: { file: string; format: string }, expected: Content): Promise<string[]> {
    const raw = join(this.home.dir, `${v7()}.seen`);
    await run('qemu-img', ['convert', '-U', '-f', format, '-O', 'raw', file, raw]);
    const seen = readFileSync(raw);
    rmSync(raw);
    const wrong = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => {
      const bytes = seen.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
      return !bytes.equals(Buffer.alloc(SLOT_BYTES, expected[slot]));
    });
    const [first] = wrong;
    if (first === undefined) return [];
    const byte = seen[first * SLOT_BYTES];
    return [`differs in ${wrong.length} slots, first in ${first}: ${byte}, not ${expected[first]}`];
  }

  /** Written back, so that the file itself tells all. */
  async #flush(letter: string): Promise<void> {
    const line = `qemu-io -d /machine/peripheral/dev-d${letter}/virtio-backend flush`;
    await this.home.vm.monitor.execute('human-monitor-command', { 'command-line': line });
  }

  /** One sample: the file was compared as a whole. */
  async #whyGuestReadsOtherwise(letter: string, expected: Content): Promise<string[]> {
    const pattern = expected.find((byte) => byte !== 0) ?? 0;
    const first = expected.indexOf(pattern);
    const at = { offset: first * SLOT_BYTES, length: SLOT_BYTES };
    if (await guestReadPattern(this.home.vm, `d${letter}`, pattern, at)) return [];
    return [`the guest reads otherwise from disk ${letter} than what its file holds in slot ${first}`];
  }
}
