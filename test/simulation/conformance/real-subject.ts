import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { makeDirectory, makeDisk, type RigMachine, startQemu } from '../../qemu/rig.ts';
import { isComplete, normal, normalEnd } from './normal.ts';
import type { Message, Script, Step, Subject } from './script.ts';

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
      if ('say' in step) return normal(await talk.say(step.say), paths);
      if ('img' in step) {
        const args = step.img.map((arg) =>
          arg.replace(/\b(DA|DB|NOPE)$/, (name) => paths[name as keyof typeof paths]),
        );
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
    await talk.say({ execute: 'qmp_capabilities' });
    return talk;
  }

  /** Everything since the last `say`. */
  get heard(): readonly Message[] {
    return [...this.#said];
  }

  async say(message: Message | string): Promise<Message[]> {
    this.#said.length = 0;
    this.#socket.write(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
    while (!isComplete(this.#said, message)) await new Promise<void>((resolve) => (this.#heard = resolve));
    return [...this.#said];
  }

  close(): void {
    this.#socket.destroy();
  }
}
