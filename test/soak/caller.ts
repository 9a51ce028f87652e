/* Somebody who works on one machine all the time, and holds what the ledger says against what the guest reads. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Chance } from '../simulation/chance.ts';
import type { Answer, Ledgerd } from './ledgerd.ts';
import type { SoakMachine } from './machine.ts';

/** So many snapshots, and all of them are deleted. */
const SNAPSHOTS_MAX = 10;
const PATTERNS = 255;
const PAUSE_MS = 100;
/** Of those that are loaded at the end, each. */
const CHECKED_MAX = 4;

interface Accepted {
  readonly id?: string;
  readonly snapshotId?: string;
  readonly reason?: string;
}

interface Operation {
  readonly done: boolean;
  readonly outcome: string;
  readonly error?: { readonly reason: string; readonly message: string };
}

type Listed = readonly { readonly id: string; readonly status: string; readonly descendants?: number }[];

export class Caller {
  /** How everything ended that was asked for. */
  readonly ends = new Map<string, number>();
  readonly wrong: string[] = [];
  readonly #machine: SoakMachine;
  readonly #ledgerd: Ledgerd;
  readonly #chance: Chance;
  /** What the disks held when a snapshot was taken. */
  readonly #patterns = new Map<string, number>();
  #steps = 0;

  constructor(ledgerd: Ledgerd, machine: SoakMachine, chance: Chance) {
    this.#machine = machine;
    this.#ledgerd = ledgerd;
    this.#chance = chance.fork(machine.name);
  }

  async work(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) await this.#undisturbed(() => this.#step());
  }

  /** Loads some of the snapshots whose contents are known, and reads them. */
  async check(): Promise<void> {
    const known = (await this.#complete()).filter(({ id }) => this.#patterns.has(id));
    for (const { id } of known.slice(0, CHECKED_MAX)) await this.#load(id, 'none');
  }

  /** What goes wrong while the machine dies is nobody's fault. */
  async #undisturbed(step: () => Promise<void>): Promise<void> {
    await this.#machine.back();
    const { deaths } = this.#machine;
    try {
      await step();
    } catch (error) {
      await setTimeout(PAUSE_MS);
      if (this.#machine.deaths === deaths) await this.#wronged(error);
    }
  }

  /** QEMU may have crashed by itself. */
  async #wronged(error: unknown): Promise<void> {
    const { name, subject } = this.#machine;
    const ended = subject.qemu.whyEnded();
    const words = ended === null ? String(error) : `QEMU ended by itself, ${ended}`;
    this.wrong.push(`${new Date().toISOString()} ${name}: ${words}`);
    if (ended !== null) await this.#machine.die();
  }

  async #step(): Promise<void> {
    this.#steps += 1;
    const snapshots = await this.#complete();
    if (snapshots.length >= SNAPSHOTS_MAX) return this.#clear();
    const one = this.#chance.pick(snapshots);
    const draw = this.#chance.below(10);
    if (draw < 5 || !one) return this.#create();
    if (draw < 7) return this.#load(one.id, this.#chance.happens(0.3) ? 'disks' : 'none');
    if (draw < 9) return void (await this.#ended('merge', 'DELETE', `/snapshots/${one.id}?strategy=merge`));
    const { status } = await this.#answer('PATCH', `/snapshots/${one.id}`, { description: `${this.#steps}` });
    this.#count(`patch ${status}`);
  }

  async #create(): Promise<void> {
    const { subject, name } = this.#machine;
    const pattern = 1 + (this.#steps % PATTERNS);
    const target = join(subject.directory, `copy-${this.#steps}.qcow2`);
    const outside = {
      disks: subject.disks.map(({ node }) => ({ device: `dev-${node}`, snapshot: 'external' })),
    };
    const [how, body] = this.#chance.pick<readonly [string, object]>([
      ['inside', { diskOnly: true }],
      ['inside', { diskOnly: true }],
      ['with memory', { memory: 'internal' }],
      ['outside', { diskOnly: true, ...outside }],
      ['outside, memory in a file', { memory: 'external', ...outside }],
      ['with a backup', { diskOnly: true, backups: [{ device: 'dev-d0', target, sync: 'full' }] }],
    ]);
    await this.#machine.write(pattern);
    const asked = { name: `${name}-${this.#steps}`, ...body };
    const snapshotId = await this.#ended(`create ${how}`, 'POST', '/snapshots', asked);
    if (snapshotId !== null) this.#patterns.set(snapshotId, pattern);
    rmSync(target, { force: true });
  }

  async #load(id: string, safety: string): Promise<void> {
    // oxlint-disable-next-line unicorn/no-thenable -- the contract's word; it holds a text, which nobody can await.
    const asked = { safety, then: 'running' };
    if ((await this.#ended('load', 'POST', `/snapshots/${id}/load`, asked)) === null) return;
    const pattern = this.#patterns.get(id);
    if (pattern === undefined) return;
    const others = await this.#machine.others(pattern);
    if (others.length > 0) this.wrong.push(`${this.#machine.name}: ${others} do not hold what ${id} holds`);
  }

  async #clear(): Promise<void> {
    await this.#ended('delete of all', 'DELETE', '/snapshots');
  }

  async #complete(): Promise<Listed> {
    const { body } = await this.#answer<{ snapshots: Listed }>('GET', '/snapshots?pageSize=1000');
    return body.snapshots.filter(({ status }) => status === 'complete');
  }

  /** Asks, waits for the end, and gives back the id of the snapshot if it went well; '' when it was about none. */
  async #ended(what: string, method: string, path: string, body?: object): Promise<string | null> {
    const accepted = await this.#answer<Accepted>(method, path, body);
    const { id, snapshotId = '', reason } = accepted.body;
    if (accepted.status >= 300 || id === undefined) {
      this.#count(`${what}: refused, ${reason}`);
      return null;
    }
    for (;;) {
      const { done, outcome, error } = await this.#ledgerd.ask<Operation>(
        'GET',
        `/operations/${id}?wait=10s`,
      );
      if (!done) continue;
      this.#count(`${what}: ${outcome}${error ? `, ${error.reason}` : ''}`);
      if (error) console.error(`${this.#machine.name}: ${what}: ${error.reason}: ${error.message}`);
      return outcome === 'succeeded' ? snapshotId : null;
    }
  }

  #answer<T>(method: string, path: string, body?: object): Promise<Answer<T>> {
    return this.#ledgerd.answer(method, `${this.#machine.path}${path}`, body);
  }

  #count(how: string): void {
    this.ends.set(how, (this.ends.get(how) ?? 0) + 1);
  }
}
