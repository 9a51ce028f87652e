import { Chance } from '../chance.ts';
import { type Fate, noFaults } from '../faults.ts';
import { Image } from '../qemu/image.ts';
import { Scheduler } from '../scheduler.ts';
import { SimulatedHost } from '../simulated-host.ts';
import { SimulatedVm } from '../simulated-vm.ts';
import type { Socket } from '../socket.ts';
import { Trace } from '../trace.ts';
import type { BlockNode } from '../qemu/block-graph.ts';
import { type Ended, isComplete, isTold, normal, normalEnd, placed, type Saying } from './normal.ts';
import type { Message, Script, Step, Subject } from './step.ts';

const EVENTS_MAX = 10_000;
const DEADLINE_MS = 60_000;
const SILENCE_MS = 150;
const PATHS = {
  ...{ DA: '/images/a.qcow2', DB: '/images/b.qcow2', DC: '/images/c.raw', NOPE: '/images/nope' },
  ...{ X1: '/images/x1.qcow2', X2: '/images/x2.qcow2', X3: '/images/x3.qcow2', X4: '/images/x4.qcow2' },
};

/** Fails one kind of thing once. Each operation deals with disk da first, but a roll-back and a delete begin with db. */
function once({ trouble }: Script): Fate {
  let occasions = 0;
  return {
    ...noFaults,
    happens: (fault) => {
      if (fault !== trouble?.fault) return false;
      occasions += 1;
      return occasions === (trouble.occasion ?? 1);
    },
  };
}

/** The model, in a world where nothing else goes wrong. */
export const modelSubject = (script: Script): Subject => new ModelSubject(script);

class ModelSubject implements Subject {
  readonly #scheduler: Scheduler;
  readonly #host: SimulatedHost;
  readonly #vm: SimulatedVm;
  #talk: Talk | null = null;
  #second: Talk | null = null;

  constructor(script: Script) {
    const chance = new Chance(1);
    this.#scheduler = new Scheduler(chance.fork('order'), new Trace());
    this.#host = new SimulatedHost(this.#scheduler, chance, once(script));
    this.#vm = new SimulatedVm(this.#host, 'vm', [
      { node: 'da', device: 'dev-da', image: new Image(PATHS.DA) },
      { node: 'db', device: 'dev-db', image: new Image(PATHS.DB) },
      { node: 'dc', device: null, image: new Image(PATHS.DC, 'raw') },
    ]);
  }

  async play(step: Step): Promise<unknown> {
    const talk = this.#talk ?? (await this.#start());
    if ('say' in step) return normal((await this.#said(talk, step)).filter(isTold), PATHS);
    if ('write' in step) return this.#write(step.write);
    if ('read' in step) return this.#read(step.read);
    if ('img' in step) return this.#tool(step.img);
    if ('kill' in step) return this.#vm.kill();
    if ('secondComes' in step) return this.#listen((this.#second = new Talk(this.#connect())));
    if ('firstLeaves' in step) {
      talk.socket.close();
      this.#talk = this.#second;
      return this.#second && this.#listen(this.#second);
    }
    await this.#start();
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async #start(): Promise<Talk> {
    this.#vm.powerOn(true);
    await this.#until(() => this.#vm.machine !== null);
    const talk = new Talk(this.#connect());
    await this.#said(talk, { say: { execute: 'qmp_capabilities' } });
    return (this.#talk = talk);
  }

  #connect(): Socket {
    return this.#host.connect(this.#vm.monitorPath);
  }

  #write({ block, value }: { block: number; value: number }): void {
    const { machine } = this.#vm;
    const top = machine?.graph.devices[0]?.node;
    for (const hear of top ? (machine?.beforeWrite ?? []) : []) hear(top as BlockNode, block);
    top?.image?.write(block, value);
  }

  #read(file: string): unknown {
    const image = this.#host.files.image(PATHS[file as keyof typeof PATHS]);
    return image && this.#host.shelf.read(image);
  }

  async #said(talk: Talk, saying: Saying): Promise<readonly Message[]> {
    talk.say(placed(saying.say, PATHS) as Message);
    await this.#until(() => isComplete(talk.heard, saying));
    return talk.heard;
  }

  async #listen(talk: Talk): Promise<unknown> {
    const endMs = this.#scheduler.nowMs + SILENCE_MS;
    this.#scheduler.after(SILENCE_MS, 'silence', () => undefined);
    await this.#until(() => this.#scheduler.nowMs >= endMs);
    return normal(talk.heard, PATHS);
  }

  async #tool(words: readonly string[]): Promise<unknown> {
    const args = words.map((word) => String(placed(word, PATHS)));
    const ends: Ended[] = [];
    this.#host.run('qemu-img', args, { timeoutMs: DEADLINE_MS }, (finished) => ends.push(finished));
    await this.#until(() => ends.length > 0);
    return ends.map((ended) => normalEnd(args, ended, PATHS))[0];
  }

  async #until(isReached: () => boolean): Promise<void> {
    const end = await this.#scheduler.run(isReached, EVENTS_MAX);
    if (end !== 'reached') throw new Error(`the model came to no end: ${end}`);
  }
}

/** One client. */
class Talk {
  readonly socket: Socket;
  heard: Message[] = [];
  #rest = '';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.onText((text) => {
      const lines = (this.#rest + text).split('\r\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.heard.push(JSON.parse(line) as Message);
    });
  }

  say(message: Message | string): void {
    this.heard = [];
    this.socket.send(`${typeof message === 'string' ? message : JSON.stringify(message)}\n`);
  }
}
