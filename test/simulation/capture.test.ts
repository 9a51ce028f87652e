/* Does the simulator tell disks of one instant from disks of several, when qemu-img takes one after the other? */
import { expect, test } from 'vitest';
import { Capture } from './capture.ts';
import { Chance } from './chance.ts';
import { noFaults } from './faults.ts';
import type { Known } from './known.ts';
import { Layers } from './layers.ts';
import { Limits } from './limits.ts';
import { OnDisk } from './on-disk.ts';
import { Image } from './qemu/image.ts';
import { Scheduler } from './scheduler.ts';
import { SimulatedHost } from './simulated-host.ts';
import { SimulatedVm } from './simulated-vm.ts';
import { Trace } from './trace.ts';

const TAG = 'sl-1';
const FILES = { da: '/images/vm1/da.qcow2', db: '/images/vm1/db.qcow2' };
type Device = keyof typeof FILES;
const DEVICES: readonly Device[] = ['da', 'db'];

/** Two disks that are off, both written at the same instant. */
class Stage {
  readonly #scheduler: Scheduler;
  readonly #host: SimulatedHost;
  readonly #vm: SimulatedVm;

  constructor() {
    const chance = new Chance(1);
    this.#scheduler = new Scheduler(chance.fork('order'), new Trace());
    this.#host = new SimulatedHost(this.#scheduler, chance, noFaults);
    const disks = DEVICES.map((node) => ({ node, device: node, image: new Image(FILES[node]) }));
    this.#vm = new SimulatedVm(this.#host, 'vm1', disks);
    this.runs(...DEVICES);
  }

  /** The machine is on for a while, and writes on these. */
  runs(...written: readonly Device[]): void {
    const { guest } = this.#vm;
    const disks = DEVICES.map((device) => {
      const read = (): number[] => this.#image(device).content;
      const write = (block: number, value: number): void => this.#image(device).write(block, value);
      return { device, isReadOnly: !written.includes(device), read, write };
    });
    guest.boot(disks);
    guest.run(disks, () => 0);
  }

  async take(device: Device): Promise<void> {
    const args = ['snapshot', '-q', '-c', TAG, FILES[device]];
    const ended: unknown[] = [];
    this.#host.run('qemu-img', args, { timeoutMs: 60_000 }, (finished) => ended.push(finished));
    while (ended.length === 0) await this.#scheduler.step();
    expect(ended).toMatchObject([{ code: 0 }]);
  }

  check(): void {
    const limits = new Limits();
    const found = new OnDisk(this.#vm, new Layers(this.#vm), limits);
    const disks = DEVICES.map(
      (device) => [device, { mode: 'internal', file: FILES[device], truth: null }] as const,
    );
    const known: Known = {
      ...{ parentId: null, tag: TAG, status: 'pending', memory: null, before: 'pending' },
      disks: new Map(disks),
    };
    new Capture(this.#vm, found, limits, { kind: 'create', started: null }).check(known, { mode: 'none' });
  }

  #image(device: Device): Image {
    return this.#host.files.image(FILES[device]) as Image;
  }
}

test.each([
  { written: ['da'], is: 'of one instant, for the machine has left alone what was still to be taken' },
  { written: [], is: 'of one instant, for the machine has written nothing' },
] as const)('disks between which $written is written are $is', async ({ written }) => {
  const stage = new Stage();
  await stage.take('da');
  stage.runs(...written);
  await stage.take('db');
  expect(() => stage.check()).not.toThrow();
});

test.each([{ written: ['db'] }, { written: ['da', 'db'] }] as const)(
  'disks between which $written is written are of several instants',
  async ({ written }) => {
    const stage = new Stage();
    await stage.take('da');
    stage.runs(...written);
    await stage.take('db');
    expect(() => stage.check()).toThrow(`I1: ${TAG} holds disks of different instants`);
  },
);
