/* Real QEMU machines for tests: software emulation, no guest system, thrown away afterwards. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MonitorTrouble, openMonitor, parseHumanText, parseImage, type Monitor } from '#qmp';
import { realWorld } from '#world';

export interface RigDisk {
  /** The node of the disk's format. Its file is `<node>_f`, blkdebug `<node>_d`, the guest's device `dev-<node>`. */
  readonly node: string;
  readonly file: string;
  /** Of the image: `qcow2`, `raw`, `qed` … */
  readonly format: string;
  /** Puts blkdebug between format and file, with these options, e.g. `inject-error.0.event=cluster_alloc`. */
  readonly blkdebug?: readonly string[];
  /** More options of the image's node, e.g. `cache.no-flush=on`. */
  readonly options?: readonly string[];
}

/** blkdebug's options of a disk that has no room left for anything new. */
export const NO_SPACE: readonly string[] = [
  'inject-error.0.event=cluster_alloc',
  'inject-error.0.errno=28',
  'inject-error.0.once=off',
  'inject-error.0.immediately=off',
];

export interface RigOptions {
  readonly disks: readonly RigDisk[];
  readonly memoryMb?: number;
  readonly extraArgs?: readonly string[];
  /** How many QMP sockets there are for the test. The rig has one of its own besides. */
  readonly monitors?: number;
  /** Where the sockets are. Given again, a machine comes back under the same paths. */
  readonly dir?: string;
}

export interface RigMachine {
  readonly pid: number;
  readonly dir: string;
  /** The first of `monitorPaths`. */
  readonly monitorPath: string;
  readonly monitorPaths: readonly string[];
  /** The rig's own session, for what is not under test. */
  readonly monitor: Monitor;
  /** What QEMU printed so far. */
  stdout(): string;
  /** How it ended, and what it said then; null while it lives. */
  whyEnded(): string | null;
  /** kill -9. Resolves when the process is gone. */
  kill(): Promise<void>;
  /** Asks it to end, as a host that shuts down does. */
  stop(): Promise<void>;
}

const START_ATTEMPTS_MAX = 1_000;
const PRINT_ATTEMPTS_MAX = 1_000;
const ATTEMPT_MS = 10;
const STOP_MS = 5_000;

/**
 * Somebody else has the lock of a disk: ledgerd's `qemu-img`, that takes a snapshot off a dead machine's, for one.
 * Who restarts a machine tries again.
 */
export class DiskLocked extends Error {}

const machines = new Set<RigMachine>();
const children = new Set<ChildProcess>();
const directories = new Set<string>();

/**
 * Whether real QEMU can be run here: `describe.runIf(needsQemu())`. Where it cannot, a laptop skips and says so;
 * under CI that is an error.
 */
export function needsQemu(): boolean {
  const missing = ['qemu-system-x86_64', 'qemu-img', 'setpriv'].filter(
    (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status !== 0,
  );
  if (missing.length === 0) return true;
  const words = `${missing.join(', ')} not found: install qemu-system-x86, qemu-utils and util-linux`;
  if (process.env['CI'] === 'true') throw new Error(words);
  console.warn(`SKIPPED, real QEMU is not tested: ${words}`);
  return false;
}

/** A directory of its own under the system's temporary one. `cleanUp` removes it. */
export function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'snapledger-'));
  directories.add(directory);
  return directory;
}

/** Creates an empty image and gives back its path. */
export function makeDisk(file: string, { format = 'qcow2', sizeMb = 8 } = {}): string {
  execFileSync('qemu-img', ['create', '-q', '-f', format, file, `${sizeMb}M`]);
  return file;
}

/** The names of the internal snapshots in a file, oldest first, whoever has it open. */
export function snapshotTags(file: string): string[] {
  const info = execFileSync('qemu-img', ['info', '-U', '--output=json', file], { encoding: 'utf8' });
  return parseImage(JSON.parse(info)).snapshots.map(({ name }) => name);
}

/** Starts a machine and waits until it speaks QMP. It dies with this process, however this process dies. */
export async function startQemu(options: RigOptions): Promise<RigMachine> {
  const { monitors = 1, dir = makeDirectory() } = options;
  const monitorPaths = Array.from({ length: monitors }, (_, n) => join(dir, `qmp-${n}.sock`));
  const ownPath = join(dir, 'rig.sock');
  rmSync(ownPath, { force: true }); // Left by a machine that was killed: it would look as if this one listened.
  const args = qemuArguments(options, [ownPath, ...monitorPaths]);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gone = once(child, 'exit');
  const printed = printedBy(child);
  const monitor = await firstSession(ownPath, child, printed);
  const machine: RigMachine = {
    pid: child.pid ?? 0,
    dir,
    monitorPath: monitorPaths[0] ?? ownPath,
    monitorPaths,
    monitor,
    stdout: () => printed.stdout,
    whyEnded() {
      if (child.exitCode === null && child.signalCode === null) return null;
      return `${child.signalCode ?? `code ${child.exitCode}`}: ${printed.stderr}`;
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
      machines.delete(machine);
    },
    async stop() {
      child.kill('SIGTERM');
      await Promise.race([gone, setTimeout(STOP_MS, undefined, { ref: false })]);
      await machine.kill();
    },
  };
  machines.add(machine);
  return machine;
}

/**
 * Has `cleanUp` kill a process that a failing test would leave behind: one that holds our pipes keeps the test's
 * own process from ending, and with it whoever waits for the tests.
 */
export function killedByCleanUp<Child extends ChildProcess>(child: Child): Child {
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Kills every machine and process of this process and removes every directory: `afterAll(cleanUp)`. */
export async function cleanUp(): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all([...machines].map((machine) => machine.kill()));
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  directories.clear();
}

/** Where in a disk, in bytes. */
export interface Extent {
  readonly offset?: number;
  readonly length?: number;
}

/** Writes as the guest would: every byte is `pattern`. Flushed, so that a kill does not undo it. */
export async function guestWrite(
  vm: RigMachine,
  node: string,
  pattern: number,
  extent: Extent = {},
): Promise<void> {
  const { offset = 0, length = 65_536 } = extent;
  const said = await qemuIo(vm, node, `write -P ${pattern} ${offset} ${length}`);
  if (!said.startsWith('wrote ')) throw new Error(`the guest could not write: ${said}`);
  await vm.monitor.execute('human-monitor-command', { 'command-line': `qemu-io -d ${deviceOf(node)} flush` });
}

/** The little-endian 32-bit number that the guest would read there. */
export async function guestReadNumber(vm: RigMachine, node: string, offset: number): Promise<number> {
  const said = await qemuIo(vm, node, `read -v ${offset} 4`);
  return numberIn(said);
}

/** The same from an image that nobody has open. */
export const imageNumber = (file: string, offset: number): number =>
  numberIn(
    execFileSync('qemu-io', ['-r', '-f', 'qcow2', '-c', `read -v ${offset} 4`, file], { encoding: 'utf8' }),
  );

function numberIn(said: string): number {
  const bytes = /^[0-9a-f]{8}:\s+((?:[0-9a-f]{2} ){4})/m.exec(said)?.[1];
  if (bytes === undefined) throw new Error(`nothing to read: ${said}`);
  return Buffer.from(bytes.replaceAll(' ', ''), 'hex').readUInt32LE();
}

/** Whether the guest reads nothing but `pattern`. */
export async function guestReadPattern(
  vm: RigMachine,
  node: string,
  pattern: number,
  { offset = 0, length = 65_536 }: Extent = {},
): Promise<boolean> {
  const said = await qemuIo(vm, node, `read -P ${pattern} ${offset} ${length}`);
  if (/^(read|wrote) failed/m.test(said)) throw new Error(`the guest could not read: ${said}`);
  return !said.includes('Pattern verification failed');
}

const deviceOf = (node: string): string => `/machine/peripheral/dev-${node}/virtio-backend`;

/** What qemu-io prints goes to QEMU's stdout, a moment before or after QMP answers. */
async function qemuIo(vm: RigMachine, node: string, command: string): Promise<string> {
  const before = vm.stdout().length;
  const line = `qemu-io -d ${deviceOf(node)} "${command}"`;
  const refused = parseHumanText(await vm.monitor.execute('human-monitor-command', { 'command-line': line }));
  if (refused !== '') throw new Error(refused);
  for (let attempt = 0; attempt < PRINT_ATTEMPTS_MAX; attempt++) {
    const said = vm.stdout().slice(before);
    if (/ ops; |failed: /.test(said)) return said;
    await setTimeout(ATTEMPT_MS);
  }
  throw new Error(`qemu-io said nothing to ${command}`);
}

function qemuArguments(
  { disks, memoryMb = 64, extraArgs = [] }: RigOptions,
  sockets: readonly string[],
): string[] {
  const machine = ['-M', 'q35', '-accel', 'tcg', '-m', String(memoryMb), '-nodefaults', '-display', 'none'];
  const monitors = sockets.flatMap((path) => ['-qmp', `unix:${path},server=on,wait=off`]);
  return [...machine, ...monitors, ...disks.flatMap(diskArguments), ...extraArgs];
}

function diskArguments({ node, file, format, blkdebug, options = [] }: RigDisk): string[] {
  const layers = [`driver=file,node-name=${node}_f,filename=${file}`];
  if (blkdebug) layers.push([`driver=blkdebug,node-name=${node}_d,image=${node}_f`, ...blkdebug].join(','));
  const top = `driver=${format},node-name=${node},file=${node}_${blkdebug ? 'd' : 'f'}`;
  layers.push([top, ...options].join(','));
  const device = `virtio-blk-pci,drive=${node},id=dev-${node}`;
  return [...layers.flatMap((layer) => ['-blockdev', layer]), '-device', device];
}

interface Printed {
  stdout: string;
  stderr: string;
}

function printedBy(child: ChildProcess): Printed {
  const printed = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => void (printed.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void (printed.stderr += text));
  return printed;
}

async function firstSession(path: string, child: ChildProcess, printed: Printed): Promise<Monitor> {
  for (let attempt = 0; attempt < START_ATTEMPTS_MAX; attempt++) {
    if (child.exitCode !== null) {
      if (/Failed to get (shared )?".*" lock/.test(printed.stderr)) throw new DiskLocked(printed.stderr);
      throw new Error(`QEMU ended at once: ${printed.stderr}`);
    }
    const monitor = existsSync(path) ? await openOrWait(path) : null;
    if (monitor) return monitor;
    await setTimeout(ATTEMPT_MS);
  }
  child.kill('SIGKILL');
  throw new Error(`QEMU does not speak: ${printed.stderr}`);
}

/** Null between binding the socket and listening on it. */
async function openOrWait(path: string): Promise<Monitor | null> {
  try {
    return await openMonitor(realWorld(), path);
  } catch (error) {
    if (error instanceof MonitorTrouble) return null;
    throw error;
  }
}

// For a test that failed before its afterAll. Machines need no such help: the kernel kills them with us.
process.on('exit', () => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});
