import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Monitor, openMonitor, parseHumanText } from '#qmp';
import type { World } from '#world';
import { BOOT_SECTOR } from './boot-sector.ts';
import { commandLine } from './command-line.ts';

const DISK_BYTES = 16 * 1024 * 1024;
const COUNTER_ADDRESS = '0x9000';
const START_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 5_000;

/** A throwaway machine: two qcow2 disks, no operating system, a guest that counts. */
export class Guest {
  readonly monitorPath: string;
  readonly disks: { readonly a: string; readonly b: string; readonly raw: string };
  readonly #own: string;
  readonly #world: World;
  #process: ChildProcess | null = null;
  #monitor: Monitor | null = null;

  constructor(world: World, directory: string) {
    this.#world = world;
    this.monitorPath = join(directory, 'monitor.sock');
    this.#own = join(directory, 'demo.sock'); // A monitor serves one client: the ledger has its own.
    this.disks = {
      a: join(directory, 'a.qcow2'),
      b: join(directory, 'b.qcow2'),
      raw: join(directory, 'c.raw'),
    };
  }

  /** Disk a carries the counting guest, disk b is empty, c is raw and not attached at first. */
  makeDisks(): void {
    const plain = openSync(this.disks.raw, 'w');
    writeSync(plain, BOOT_SECTOR, 0, BOOT_SECTOR.length, 0);
    writeSync(plain, Buffer.from([0]), 0, 1, DISK_BYTES - 1);
    closeSync(plain);
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', this.disks.raw, this.disks.a);
    qemuImg('create', '-q', '-f', 'qcow2', this.disks.b, String(DISK_BYTES));
  }

  /** Boots it. `withRaw` attaches the third, raw disk. */
  async start({ withRaw = false } = {}): Promise<number> {
    const monitors = [this.monitorPath, this.#own];
    for (const socket of monitors) rmSync(socket, { force: true });
    const { a, b, raw } = this.disks;
    const machine = { monitors, a, b, raw: withRaw ? raw : null };
    const child = spawn('qemu-system-x86_64', commandLine(machine), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    this.#monitor = await this.#opened(() => complaint);
    return child.pid ?? 0;
  }

  async #opened(complaint: () => string): Promise<Monitor> {
    const { clock } = this.#world;
    const until = clock.monotonic() + START_TIMEOUT_MS;
    for (;;) {
      try {
        return await openMonitor(this.#world, this.#own);
      } catch (error) {
        if (clock.monotonic() > until)
          throw new Error(`QEMU did not start: ${complaint()}`, { cause: error });
        await clock.sleep(20);
      }
    }
  }

  /** The number the guest has counted to, read from its memory. */
  async counter(): Promise<number> {
    const text = await this.#human(`xp /1uw ${COUNTER_ADDRESS}`);
    return Number(/:\s*(\d+)/.exec(text)?.[1] ?? Number.NaN);
  }

  /**
   * From now on disk b stops at its next flush, and with it whatever QEMU is doing, for as long as we like. The guest is
   * paused first: otherwise its own next write would be what stops there.
   */
  async breakAtFlushOfB(): Promise<void> {
    await this.#monitor?.execute('stop');
    await this.#human('qemu-io b-debug "break flush_to_os demo"');
  }

  async #human(line: string): Promise<string> {
    const reply = await this.#monitor?.execute(
      'human-monitor-command',
      { 'command-line': line },
      { timeoutMs: ANSWER_TIMEOUT_MS },
    );
    return parseHumanText(reply);
  }

  /** SIGKILL: no good-bye, no flush. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    this.#monitor?.close();
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** The snapshots in a disk's own file, by tag, whoever has it open. */
  tagsOf(disk: 'a' | 'b'): string[] {
    const info = JSON.parse(qemuImg('info', '-U', '-f', 'qcow2', '--output=json', this.disks[disk])) as {
      snapshots?: { name: string }[];
    };
    return (info.snapshots ?? []).map(({ name }) => name);
  }
}

function qemuImg(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('qemu-img', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`qemu-img ${args.join(' ')}: ${stderr}`);
  return stdout;
}
