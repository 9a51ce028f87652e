/* A machine with an owner, who starts it again whenever it has died. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { bootSubject, type Subject } from '../crash/machine.ts';
import { startAsTold } from '../crash/owner.ts';
import { guestReadPattern, guestWrite } from '../qemu/rig.ts';
import type { Ledgerd } from './ledgerd.ts';

interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string };
}

export class SoakMachine {
  readonly name: string;
  readonly subject: Subject;
  readonly #ledgerd: Ledgerd;
  /** Somebody does something to it already. */
  isInTrouble = false;

  private constructor(name: string, subject: Subject, ledgerd: Ledgerd) {
    this.name = name;
    this.subject = subject;
    this.#ledgerd = ledgerd;
  }

  static async start(ledgerd: Ledgerd, name: string, disksCount: number): Promise<SoakMachine> {
    const directory = join(ledgerd.directory, name);
    mkdirSync(directory);
    const subject = await bootSubject(disksCount, directory);
    const asked = { name, monitor: subject.qemu.monitorPath };
    subject.vmId = (await ledgerd.ask<{ id: string }>('POST', '/vms', asked)).id;
    return new SoakMachine(name, subject, ledgerd);
  }

  get path(): string {
    return `/vms/${this.subject.vmId}`;
  }

  /** How often it has died. */
  deaths = 0;
  #coming: Promise<void> = Promise.resolve();

  /** kill -9, and its owner starts it from the disks that the ledger tells of. */
  die(): Promise<void> {
    this.deaths += 1;
    const coming = startAsTold(this.subject, this.#ledgerd);
    this.#coming = coming.catch(() => undefined); // It is told by whoever has killed it.
    return coming;
  }

  /** Resolves when it has come back, or could not. */
  back(): Promise<void> {
    return this.#coming;
  }

  async hang(forMs: number): Promise<void> {
    const { pid } = this.subject.qemu;
    process.kill(pid, 'SIGSTOP');
    await setTimeout(forMs);
    process.kill(pid, 'SIGCONT');
  }

  async pause(forMs: number): Promise<void> {
    await this.#tell('stop');
    await setTimeout(forMs);
    await this.#tell('cont');
  }

  /** The owner takes a snapshot of one disk past the ledger, and takes it away again. */
  async meddle(forMs: number): Promise<void> {
    const blocks = (await this.#tell('query-block')) as Block[];
    const device = blocks.find(({ qdev }) => qdev?.includes('dev-d0'))?.inserted?.['node-name'];
    const name = `owner-${Date.now()}`;
    await this.#tell('blockdev-snapshot-internal-sync', { device, name });
    await setTimeout(forMs);
    await this.#tell('blockdev-snapshot-delete-internal-sync', { device, name });
  }

  async isRunning(): Promise<boolean> {
    return ((await this.#tell('query-status')) as { running: boolean }).running;
  }

  async write(pattern: number): Promise<void> {
    for (const { node } of this.subject.disks) await guestWrite(this.subject.qemu, node, pattern);
  }

  /** The disks that hold something else. */
  async others(pattern: number): Promise<string[]> {
    const wrong: string[] = [];
    for (const { node } of this.subject.disks)
      if (!(await guestReadPattern(this.subject.qemu, node, pattern))) wrong.push(node);
    return wrong;
  }

  #tell(command: string, args: object = {}): Promise<unknown> {
    return this.subject.qemu.monitor.execute(command, { ...args });
  }
}
