import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { makeDirectory, makeDisk, type RigMachine, startQemu } from '../../qemu/rig.ts';
import { isComplete, isTold, normal, normalEnd, placed, type Saying } from './normal.ts';
import type { Message, Script, Step, Subject } from './step.ts';

/** How long to listen before we believe that nothing comes. */
const SILENCE_MS = 150;

/** Real QEMU with real images. */
export async function realSubject({ trouble }: Script): Promise<Subject> {
  const dir = makeDirectory();
  const paths = {
    DA: join(dir, 'a.qcow2'),
    DB: join(dir, 'b.qcow2'),
    DC: join(dir, 'c.raw'),
    NOPE: join(dir, 'nope'),
    ...Object.fromEntries([1, 2, 3, 4].map((n) => [`X${n}`, join(dir, `x${n}.qcow2`)])),
  };
  makeDisk(paths.DA, { sizeMb: 16 });
  makeDisk(paths.DB, { sizeMb: 16 });
  makeDisk(paths.DC, { format: 'raw', sizeMb: 16 });
  const raw = ['-blockdev', `driver=file,node-name=dc_f,filename=${paths.DC}`];
  const launch = (): Promise<RigMachine> =>
    startQemu({
      dir,
      disks: [
        { node: 'da', file: paths.DA, format: 'qcow2' },
        { node: 'db', file: paths.DB, format: 'qcow2', ...(trouble && { blkdebug: trouble.blkdebug }) },
      ],
      extraArgs: ['-S', ...raw, '-blockdev', 'driver=raw,node-name=dc,file=dc_f'],
    });
  let vm = await launch();
  let talk = await Talk.open(vm.monitorPath);
  let second: Talk | null = null;
  return {
    async play(step: Step) {
      if ('say' in step)
        return normal(
          (await talk.say({ ...step, say: placed(step.say, paths) as Message })).filter(isTold),
          paths,
        );
      if ('write' in step) return written(vm, step.write);
      if ('read' in step) return contentOf(dir, String(placed(step.read, paths)));
      if ('img' in step) {
        const args = step.img.map((arg) => String(placed(arg, paths)));
        const { status, stdout, stderr } = spawnSync('qemu-img', args, { encoding: 'utf8' });
        return normalEnd(args, { code: status, stdout, stderr }, paths);
      }
      if ('kill' in step) return void (await vm.kill());
      if ('secondComes' in step) {
        second = await Talk.connect(vm.monitorPath);
        await setTimeout(SILENCE_MS);
        return normal(second.heard, paths);
      }
      if ('firstLeaves' in step) {
        talk.close();
        talk = second ?? talk;
        await setTimeout(SILENCE_MS);
        return normal(talk.heard, paths);
      }
      vm = await launch();
      talk = await Talk.open(vm.monitorPath);
      return undefined;
    },
    async close() {
      talk.close();
      await vm.kill();
    },
  };
}

const BLOCK_BYTES = 65_536;
const BLOCKS = 3;

/** Through the guest's device. */
async function written(vm: RigMachine, { block, value }: { block: number; value: number }): Promise<void> {
  const commands = [`write -P ${value} ${block * BLOCK_BYTES} ${BLOCK_BYTES}`, 'flush'];
  for (const command of commands) {
    const line = `qemu-io -d /machine/peripheral/dev-da/virtio-backend "${command}"`;
    await vm.monitor.execute('human-monitor-command', { 'command-line': line });
  }
}

function contentOf(dir: string, file: string): number[] {
  const raw = join(dir, 'content.raw');
  const args = ['convert', '-U', '-f', 'qcow2', '-O', 'raw', file, raw];
  const { status, stderr } = spawnSync('qemu-img', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  const bytes = readFileSync(raw);
  return Array.from({ length: BLOCKS }, (_, block) => bytes[block * BLOCK_BYTES] ?? 0);
}

/** One client, as simple as can be. */
class Talk {
  readonly #socket: Socket;
  readonly #said: Message[] = [];
  #heard: () => void = () => undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const lines = createInterface({ input: socket }).on('line', (line) => {
      this.#said.push(JSON.parse(line) as Message);
      this.#heard();
    });
    for (const stream of [socket, lines]) stream.on('error', () => undefined); // A killed QEMU resets the connection.
  }

  static async connect(path: string): Promise<Talk> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    return new Talk(socket);
  }

  static async open(path: string): Promise<Talk> {
    const talk = await Talk.connect(path);
    await talk.say({ say: { execute: 'qmp_capabilities' } });
    return talk;
  }

  /** Everything since the last `say`. */
  get heard(): readonly Message[] {
    return [...this.#said];
  }

  async say(saying: Saying): Promise<Message[]> {
    const { say: message } = saying;
    this.#said.length = 0;
    this.#socket.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
    while (!isComplete(this.#said, saying)) await new Promise<void>((resolve) => (this.#heard = resolve));
    return [...this.#said];
  }

  close(): void {
    this.#socket.destroy();
  }
}
