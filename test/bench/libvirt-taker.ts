import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeDirectory, makeDisk } from '../qemu/rig.ts';
import { DISKS, type Kind, MEMORY_MB, type Taker, VERBS } from './taker.ts';

const START_ATTEMPTS_MAX = 500;
const ATTEMPT_MS = 20;
const ANSWER_MS = 60_000;
/** Whom libvirt runs as when we are root: root's is the machine's own libvirt, which is nobody's to play with. */
const NOBODY = 65_534;

/** Whether libvirt can be compared with here. */
export const needsLibvirt = (): boolean =>
  ['virsh', 'libvirtd'].every((program) => spawnSync(program, ['--version']).status === 0);

/** One long virsh and a libvirtd of its own: no process is started for a command. Null for what libvirt cannot do. */
export async function libvirtTaker(kind: Kind): Promise<Taker | null> {
  if (kind === 'internal') return null;
  const directory = makeDirectory();
  const disks = Array.from({ length: DISKS }, (_, n) => makeDisk(join(directory, `d${n}.qcow2`)));
  const home = new Home(directory);
  const domain = home.write('m.xml', domainOf(disks));
  home.write('libvirt/qemu.conf', 'stdio_handler = "file"\nsecurity_driver = "none"\n');
  home.giveAway();
  const daemon = await home.daemon();
  const virsh = home.virsh();
  await virsh.do(`create ${domain}`);
  const asked = kind === 'external' ? '--disk-only' : '';
  let count = 0;
  return {
    // It loads external snapshots since 9.9 only, and then throws away what the machine stands on.
    verbs: kind === 'external' ? ['create', 'remove'] : VERBS,
    async create() {
      count += 1;
      await virsh.do(`snapshot-create-as m s${count} ${asked}`);
      return `s${count}`;
    },
    load: (name) => virsh.do(`snapshot-revert m ${name}`),
    remove: (name) => virsh.do(`snapshot-delete m ${name}`),
    async end() {
      await virsh.end();
      home.killMachine();
      const gone = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await gone;
    },
  };
}

/** Where a libvirtd that serves one user keeps all that is its. */
class Home {
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #prefix: readonly string[];

  constructor(directory: string) {
    this.#directory = directory;
    const under = (name: string): string => join(directory, name);
    this.#env = {
      ...process.env,
      HOME: directory,
      XDG_CONFIG_HOME: directory,
      XDG_RUNTIME_DIR: under('run'),
      XDG_CACHE_HOME: under('cache'),
      XDG_DATA_HOME: under('data'),
      LIBVIRT_AUTOSTART: '0',
    };
    const nobody = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups'];
    this.#prefix = ['--pdeathsig', 'KILL', ...(process.getuid?.() === 0 ? nobody : [])];
    for (const name of ['run', 'libvirt']) mkdirSync(under(name));
  }

  write(name: string, text: string): string {
    const file = join(this.#directory, name);
    writeFileSync(file, text);
    return file;
  }

  giveAway(): void {
    if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, this.#directory]);
  }

  async daemon(): Promise<ChildProcess> {
    const daemon = this.#spawn('exec libvirtd', 'ignore');
    const socket = join(this.#directory, 'run/libvirt/libvirt-sock');
    for (let attempt = 0; attempt < START_ATTEMPTS_MAX; attempt += 1) {
      if (existsSync(socket)) return daemon;
      if (daemon.exitCode !== null) break;
      await sleep(ATTEMPT_MS);
    }
    daemon.kill('SIGKILL');
    throw new Error('libvirtd does not listen');
  }

  /** Nobody waits for it: it is no child of ours, and not of libvirtd's. */
  killMachine(): void {
    const file = join(this.#directory, 'run/libvirt/qemu/run/m.pid');
    if (existsSync(file)) process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
  }

  virsh(): Virsh {
    return new Virsh(this.#spawn('exec virsh -q -c qemu:///session 2>&1', 'pipe'));
  }

  #spawn(line: string, said: 'ignore' | 'pipe'): ChildProcess {
    return spawn('setpriv', [...this.#prefix, 'sh', '-c', line], {
      stdio: [said, said, 'ignore'],
      env: this.#env,
    });
  }
}

/** One virsh that is told one command after the other. */
class Virsh {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  #said = '';
  #count = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#gone = once(child, 'exit');
    child.stdout?.setEncoding('utf8').on('data', (text: string) => void (this.#said += text));
  }

  /** Resolves when it is done. */
  async do(line: string): Promise<void> {
    this.#count += 1;
    this.#said = '';
    const isDone = new RegExp(`^done-${this.#count}`, 'm');
    const late = sleep(ANSWER_MS, null, { ref: false });
    const hopeless = Promise.race([late, this.#gone]).then(() => 'hopeless');
    this.#child.stdin?.write(`${line}\necho done-${this.#count}\n`);
    while (!isDone.test(this.#said)) {
      const heard = await Promise.race([once(this.#child.stdout ?? this.#child, 'data'), hopeless]);
      if (heard === 'hopeless') throw new Error(`virsh ${line}: ${this.#said}`);
    }
    if (this.#said.includes('error:')) throw new Error(`virsh ${line}: ${this.#said}`);
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }
}

/** The same machine as everybody's. */
const domainOf = (disks: readonly string[]): string => `
  <domain type='qemu'>
    <name>m</name>
    <memory unit='MiB'>${MEMORY_MB}</memory>
    <vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>
    <devices>
      ${disks.map(diskOf).join('\n      ')}
      <controller type='usb' model='none'/>
      <memballoon model='none'/>
    </devices>
  </domain>
`;

const diskOf = (file: string, at: number): string => `
      <disk type='file' device='disk'>
        <driver name='qemu' type='qcow2'/>
        <source file='${file}'/>
        <target dev='vd${String.fromCodePoint(0x61 + at)}' bus='virtio'/>
      </disk>`;
