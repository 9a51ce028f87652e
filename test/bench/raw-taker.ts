import { execFile } from 'node:child_process';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Subject } from '../crash/machine.ts';
import { bootTaken, type Kind, type Taker, VERBS } from './taker.ts';

const run = promisify(execFile);

/** The least that does it: the commands for QEMU one after the other, and nothing looked at, recorded or synced. */
export async function rawTaker(kind: Kind): Promise<Taker> {
  const subject = await bootTaken();
  switch (kind) {
    case 'internal':
      return new InsideDisks(subject);
    case 'memory':
      return new WithMemory(subject);
    case 'external':
      return new Layered(subject);
  }
}

async function removeInside({ disks, qemu }: Subject, name: string): Promise<void> {
  for (const { node } of disks) {
    await qemu.monitor.execute('blockdev-snapshot-delete-internal-sync', { device: node, name });
  }
}

class InsideDisks implements Taker {
  /** No command of QEMU's loads disks without their memory. */
  readonly verbs = ['create', 'remove'] as const;
  readonly #subject: Subject;
  #count = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  async create(): Promise<string> {
    this.#count += 1;
    const { disks, qemu } = this.#subject;
    const name = `raw-${this.#count}`;
    const type = 'blockdev-snapshot-internal-sync';
    const actions = disks.map(({ node }) => ({ type, data: { device: node, name } }));
    await qemu.monitor.execute('transaction', { actions });
    return name;
  }

  load(): Promise<void> {
    return Promise.reject(new Error('there is no such command'));
  }

  remove(name: string): Promise<void> {
    return removeInside(this.#subject, name);
  }

  end(): Promise<void> {
    return this.#subject.qemu.kill();
  }
}

class WithMemory implements Taker {
  readonly verbs = VERBS;
  readonly #subject: Subject;
  readonly #devices: readonly string[];
  readonly #vmstate: string;
  #jobs = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#devices = subject.disks.map(({ node }) => node);
    this.#vmstate = this.#devices.at(-1) ?? '';
  }

  async create(): Promise<string> {
    const tag = `tag-${this.#jobs}`;
    await this.#job('snapshot-save', { tag, vmstate: this.#vmstate });
    return tag;
  }

  load(tag: string): Promise<void> {
    return this.#job('snapshot-load', { tag, vmstate: this.#vmstate });
  }

  remove(name: string): Promise<void> {
    return removeInside(this.#subject, name);
  }

  end(): Promise<void> {
    return this.#subject.qemu.kill();
  }

  #job(command: string, args: object): Promise<void> {
    this.#jobs += 1;
    const about = { 'job-id': `raw-${this.#jobs}`, devices: this.#devices, ...args };
    return this.#subject.qemu.monitor.runJob(command, about);
  }
}

/** One file in the chain of one disk. */
interface Link {
  readonly node: string;
  readonly file: string;
  readonly below: Link | null;
}

/** Each disk goes on in a file of its own; what it left stands still and is the snapshot. */
class Layered implements Taker {
  readonly verbs = VERBS;
  readonly #subject: Subject;
  readonly #frozen = new Map<string, readonly Link[]>();
  #tops: readonly Link[];
  #count = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
    this.#tops = subject.disks.map(({ node, file }) => ({ node, file, below: null }));
  }

  async create(): Promise<string> {
    const frozen = this.#tops;
    const overlays = await this.#overlaysOn(frozen, () => null);
    const actions = overlays.map(({ node: overlay, below }) => ({
      type: 'blockdev-snapshot',
      data: { node: below?.node, overlay },
    }));
    await this.#execute('transaction', { actions });
    this.#tops = overlays;
    const name = `raw-${this.#count}`;
    this.#frozen.set(name, frozen);
    return name;
  }

  async load(name: string): Promise<void> {
    const left = this.#tops;
    await this.#execute('stop');
    this.#tops = await this.#overlaysOn(this.#frozen.get(name) ?? [], ({ node }) => node);
    for (const [at, { node }] of this.#tops.entries()) {
      const path = `/machine/peripheral/dev-d${at}/virtio-backend`;
      await this.#execute('qom-set', { path, property: 'drive', value: node });
    }
    for (const link of left) await this.#drop(link);
    await this.#execute('system_reset');
    await this.#execute('cont');
  }

  /** What the machine stands on takes up what the snapshot held. */
  async remove(name: string): Promise<void> {
    const gone = this.#frozen.get(name) ?? [];
    this.#frozen.delete(name);
    for (const [at, { node, file }] of this.#tops.entries()) {
      const base = gone[at]?.below ?? null;
      const args = { 'job-id': `pull-${node}`, device: node, 'auto-dismiss': false };
      const below = base && { 'base-node': base.node, 'backing-file': base.file };
      await this.#subject.qemu.monitor.runJob('block-stream', { ...args, ...below });
      this.#tops = this.#tops.with(at, { node, file, below: base });
    }
    for (const link of gone) await this.#drop(link);
  }

  end(): Promise<void> {
    return this.#subject.qemu.kill();
  }

  async #overlaysOn(links: readonly Link[], backing: (below: Link) => string | null): Promise<Link[]> {
    const overlays: Link[] = [];
    this.#count += 1;
    for (const [at, below] of links.entries()) {
      const node = `o${at}-${this.#count}`;
      const file = join(this.#subject.directory, `${node}.qcow2`);
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', below.file, '-F', 'qcow2', file]);
      const protocol = { driver: 'file', filename: file };
      const image = { driver: 'qcow2', 'node-name': node, file: protocol, backing: backing(below) };
      await this.#execute('blockdev-add', image);
      overlays.push({ node, file, below });
    }
    return overlays;
  }

  async #drop({ node, file }: Link): Promise<void> {
    await this.#execute('blockdev-del', { 'node-name': node });
    await unlink(file);
  }

  async #execute(command: string, args: object = {}): Promise<void> {
    await this.#subject.qemu.monitor.execute(command, { ...args });
  }
}
