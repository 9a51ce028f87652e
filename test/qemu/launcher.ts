/* An operator's launcher: two commands that start and end a QEMU, made by the test. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type LauncherCommands, openHypervisor } from '#hypervisor';
import { openMonitor } from '#qmp';
import { realWorld, type World } from '#world';
import type { House } from './house.ts';
import type { RigMachine } from './rig.ts';

/** The script as an operator might write it, but for the log that the test reads. */
const START = `
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
const [dir, ...extra] = process.argv.slice(2);
const { SNAPLEDGER_VM_ID: id, SNAPLEDGER_VM_DISKS: disks, SNAPLEDGER_VM_INCOMING: incoming } = process.env;
if (!id) throw new Error('no id');
rmSync(dir + '/rig.sock', { force: true });
const monitors = ['rig.sock', 'qmp-0.sock'].flatMap((name) => ['-qmp', 'unix:' + dir + '/' + name + ',server=on,wait=off']);
const blocks = JSON.parse(disks).flatMap(({ device, node, format, file }) =>
  node.startsWith('#')
    ? ['-drive', 'if=none,id=' + device + ',format=' + format + ',file=' + file, '-device', 'virtio-blk-pci,drive=' + device]
    : [
        '-blockdev', 'driver=file,node-name=' + device.slice(4) + '_f,filename=' + file,
        '-blockdev', 'driver=' + format + ',node-name=' + (node || device.slice(4)) + ',file=' + device.slice(4) + '_f',
        '-device', 'virtio-blk-pci,drive=' + (node || device.slice(4)) + ',id=' + device,
      ],
);
const log = openSync(dir + '/qemu.log', 'w');
const machine = ['-M', 'q35', '-accel', 'tcg', '-m', '64', '-nodefaults', '-display', 'none'];
const child = spawn('qemu-system-x86_64',
  [...machine, '-S', ...monitors, ...blocks, ...(incoming ? ['-incoming', incoming] : []), ...extra],
  { detached: true, stdio: ['ignore', log, 'inherit'] });
writeFileSync(dir + '/qemu.pid', String(child.pid));
child.unref();
closeSync(log);
`;
const STOP = `
import { readFileSync } from 'node:fs';
process.kill(Number(readFileSync(process.argv[2] + '/qemu.pid', 'utf8')), 'SIGKILL');
`;

export interface LaunchedHouse {
  readonly commands: LauncherCommands;
  /** What the launcher has started, or what the house was booted as. */
  machine(): Promise<RigMachine>;
  /** The process that it would end. */
  pid(): number;
  /** Somebody else has started the machine. */
  isTold(pid: number): void;
  kill(): void;
}

interface Options {
  /** Words that QEMU is started with besides. */
  readonly extra?: readonly string[];
  readonly world?: World;
  /** The launcher has been there before: it knows which QEMU it started last. */
  readonly keeps?: boolean;
}

const started = new Set<() => void>();
process.on('exit', () => started.forEach((kill) => kill()));

/** Gives the house a worker with a launcher. */
export async function withLauncher(
  home: House,
  { extra = [], world = realWorld(), keeps = false }: Options = {},
): Promise<LaunchedHouse> {
  const { dir } = home;
  await home.hypervisor.close();
  const [start, stop, pid] = ['start.mjs', 'stop.mjs', 'qemu.pid'].map((name) => join(dir, name));
  if (!start || !stop || !pid) throw new Error('no place for the launcher');
  writeFileSync(start, START);
  writeFileSync(stop, STOP);
  if (home.isOn && !keeps) writeFileSync(pid, String(home.vm.pid));
  const commands: LauncherCommands = {
    start: [process.execPath, start, dir, ...extra],
    stop: [process.execPath, stop, dir],
  };
  home.succeed(
    openHypervisor({
      ...{ world, monitorRoots: [dir], imageRoots: [dir], worker: 'w2', launcher: commands },
      ...{ transcriptsDir: join(dir, 'transcripts'), socketsDir: join(dir, 'sockets') },
    }),
  );
  const kill = (): void => {
    try {
      process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
    } catch {
      return; // It is gone.
    }
  };
  started.add(kill);
  const pidNow = (): number => Number(readFileSync(pid, 'utf8'));
  const isTold = (now: number): void => writeFileSync(pid, String(now));
  return { commands, kill, machine: () => launched(dir, pidNow()), pid: pidNow, isTold };
}

const ENDING_ATTEMPTS_MAX = 1_000;
const ATTEMPT_MS = 5;

/** Resolves when the process has let go of all that it had open. Nobody of ours is its parent. */
async function killed(pid: number): Promise<void> {
  if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  for (let attempt = 1; attempt <= ENDING_ATTEMPTS_MAX; attempt += 1) {
    if (!isAlive(pid)) return;
    await setTimeout(ATTEMPT_MS);
  }
  throw new Error(`process ${pid} was killed and does not end`);
}

function isAlive(pid: number): boolean {
  try {
    const [state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').slice(-1);
    return !state?.startsWith('Z');
  } catch {
    return false; // There is no such process any more.
  }
}

async function launched(dir: string, pid: number): Promise<RigMachine> {
  const monitor = await openMonitor(realWorld(), join(dir, 'rig.sock'));
  const monitorPath = join(dir, 'qmp-0.sock');
  const end = (): Promise<void> => killed(pid);
  const stdout = (): string => readFileSync(join(dir, 'qemu.log'), 'utf8');
  return {
    ...{ pid, dir, monitorPath, monitorPaths: [monitorPath], monitor, stdout, kill: end, stop: end },
    whyEnded: () => null, // It is not our child.
  };
}
