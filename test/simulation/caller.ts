import type { Book } from './book.ts';
import type { Chance } from './chance.ts';
import type { History } from './history.ts';
import type { Journey } from './journeys.ts';
import { watchesForEver } from './known.ts';
import type { LedgerdService } from './ledgerd-service.ts';
import type { Reference } from './reference.ts';
import type { Script, ScriptedCommand } from './script.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { Answer } from './simulated-ledgerd.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';
import { nextWish, type Taste, TASTES, type Wish } from './wish.ts';

const RETRY_LEAST_MS = 100;
const RETRY_MOST_MS = 10_000;
/** More than any run of bad luck needs; ledgerd is never away for longer than half a minute. */
const TRIES_MAX = 2_000;
/** Of the requests, those that say which version they were decided on. */
const VERSION_SHARE = 0.15;
/** How often whoever waits loses patience. */
const CANCEL_SHARE = 0.05;
/** So long a caller waits for an operation to end: a machine may be off, and nobody starts it before all have gone. */
const WAITS_MAX = 100;
/** After that nobody waits any more for what only ends when somebody ends it. */
const FOR_EVER_TRIES = 20;
/** A caller who meets a busy machine comes back that often. */
const BUSY_TRIES_MAX = 20;
/** So often a traveller looks whether the machine runs. */
const START_TRIES_MAX = 10;
/** So often a step of a journey is tried. */
const STEP_TRIES_MAX = 3;

export interface CallerSetup {
  readonly host: SimulatedHost;
  readonly service: LedgerdService;
  readonly reference: Reference;
  readonly history: History;
  readonly vm: SimulatedVm;
  readonly vmId: string;
  readonly name: string;
  readonly wishesCount: number;
  /** How much more somebody wants who likes layers, which come first. */
  readonly layersFirst: number;
  /** When it comes. */
  readonly atMs: number;
  /** Whether the guest's agent is known. */
  readonly hasAgent: boolean;
  /** The way to go instead of asking for whatever comes to mind. */
  readonly journey: Journey | null;
  /** What is asked for, one after the other; absent: whatever comes to mind. */
  readonly script?: Script;
}

/**
 * Somebody who wants snapshots: asks for one thing after the other, each under a key of its own, and asks again with
 * the same key for as long as no answer comes. Checks that answers are true and stay the same.
 */
export class Caller {
  isDone = false;
  /** Operations whose request was refused: nothing may ever be heard of them. */
  readonly refused: string[] = [];
  readonly answered = new Map<string, number>();
  readonly #setup: CallerSetup;
  readonly #chance: Chance;
  readonly #taste: Taste;
  /** Waits for as long as it takes. */
  readonly #isPatient: boolean;
  #cancels = 1;

  constructor(setup: CallerSetup) {
    this.#setup = setup;
    this.#chance = setup.host.chance.fork(setup.name);
    this.#taste = this.#chance.pick(TASTES);
    this.#isPatient = this.#chance.happens(0.5);
  }

  async live(): Promise<void> {
    const { wishesCount, layersFirst, name, script, history, journey, atMs } = this.#setup;
    if (atMs > 0) await this.#sleep(atMs, 'comes');
    await this.#register();
    if (script) return this.#follow(script);
    if (journey) return this.#travel(journey);
    const more = this.#taste === 'layers' ? layersFirst : 0;
    for (let serial = 1; serial <= wishesCount + more; serial += 1) {
      await this.#sleep(this.#chance.betweenLog(1, 3_000), 'thinks');
      const book = this.#book;
      const expectedVersion = this.#chance.happens(VERSION_SHARE) ? this.#seenVersion : undefined;
      const wish = book && nextWish(this.#chance, book, `${name}-${serial}`, this.#taste);
      if (this.#chance.happens(0.5)) await this.#sleep(this.#chance.betweenLog(1, 3_000), 'hesitates');
      if (wish && history.has(`${name}#${serial}`))
        await this.#insist(wish, `${name}-${serial}`, expectedVersion);
      if (this.#chance.happens(0.8)) await this.#untilIdle();
    }
    this.isDone = true;
  }

  async #follow({ commands, fate }: Script): Promise<void> {
    for (const [at, command] of commands.entries()) {
      fate.command = at;
      const wish = this.#book && command(this.#book);
      if (wish) await this.#insist(wish, `${this.#setup.name}-${at}`);
      await this.#untilIdle();
    }
    fate.command = null;
    this.isDone = true;
  }

  /** One step after the other, each tried again when nothing came of it; but nobody waits for ever. */
  async #travel({ commands, isOn, isOffAtLast = false, isGivenUp = false }: Journey): Promise<void> {
    for (const [at, command] of commands.entries())
      for (let tries = 1; tries <= STEP_TRIES_MAX; tries += 1) {
        const isLast = at === commands.length - 1;
        await this.#ready(`${at * STEP_TRIES_MAX + tries}`, isOn && !(isOffAtLast && tries > 1 && isLast));
        if (isOffAtLast && isLast) this.#setup.vm.powerOff();
        if (await this.#step(command, at * STEP_TRIES_MAX + tries, isGivenUp && isLast)) break;
      }
    this.isDone = true;
  }

  /** Whether it was done. */
  async #step(command: ScriptedCommand, serial: number, isGivenUp: boolean): Promise<boolean> {
    const { name, history, reference } = this.#setup;
    const wish = this.#book && command(this.#book);
    if (!wish || !history.has(`${name}#${serial}`)) return false;
    const before = reference.failuresCount;
    await this.#insist(wish, `${name}-${serial}`);
    if (isGivenUp) await this.#giveUp();
    await this.#untilIdle();
    return reference.failuresCount === before;
  }

  /** A person takes the disks as they are, and then lets the machine run. */
  async #ready(serial: string, isOn: boolean): Promise<void> {
    const { vm, name } = this.#setup;
    if (this.#book?.hold) await this.#insist({ what: 'release' }, `${name}-release-${serial}`);
    if (!isOn) return;
    for (let tries = 1; tries <= START_TRIES_MAX && !vm.machine?.isRunning; tries += 1) {
      if (vm.machine) vm.resumeUnless(() => Boolean(this.#book?.open));
      else vm.powerOn(false);
      await this.#sleep(this.#chance.between(50, 200), 'waits for the machine');
    }
  }

  async #giveUp(): Promise<void> {
    await this.#sleep(this.#chance.betweenLog(1, 1_000), 'changes its mind');
    await this.#ask({ what: 'cancel' }, `${this.#setup.name}-cancel-${this.#cancels++}`);
  }

  /** Until the machine can be looked at, or somebody else has registered it. */
  async #register(): Promise<void> {
    for (let tries = 1; tries <= TRIES_MAX && !this.#book; tries += 1)
      await this.#insist(this.#registration(), `${this.#setup.name}-register-${tries}`);
  }

  get #book(): Book | undefined {
    return this.#setup.reference.books.get(this.#setup.vmId);
  }

  get #seenVersion(): number {
    return this.#setup.reference.versionOf(this.#setup.vmId);
  }

  #registration(): Wish {
    const { name, monitorPath, agentPath, disks, machine, isStarting } = this.#setup.vm;
    const guestAgent = this.#setup.hasAgent ? agentPath : null;
    const described = disks.map(({ device, node, image }) => ({
      device: device ?? node,
      file: image.path,
      format: image.format,
    }));
    const isOff = !machine && !isStarting;
    return { what: 'register', name, monitor: monitorPath, guestAgent, ...(isOff && { disks: described }) };
  }

  async #insist(wish: Wish, key: string, expectedVersion?: number): Promise<void> {
    let first = '';
    let busyTries = 0;
    for (let tries = 0; tries < TRIES_MAX; tries += 1) {
      const answer = await this.#ask(wish, key, expectedVersion);
      if (answer?.kind === 'recorded') {
        const events = answer.eventIds.join(' '); // None when nothing had to change: that binds no key.
        must(
          first === '' || first === events,
          'I12',
          () => `${key} was answered with ${first}, then with ${events}`,
        );
        first = events;
        if (!this.#setup.host.faults.happens('answer-lost')) return;
      } else if (answer?.kind === 'refused') {
        if (wish.what === 'register')
          return this.#sleep(this.#chance.between(100, 3_000), 'will try to register again');
        busyTries += 1;
        if (answer.code !== 'vm-busy' || busyTries > BUSY_TRIES_MAX) return;
      }
      await this.#sleep(this.#chance.betweenLog(RETRY_LEAST_MS, RETRY_MOST_MS), 'tries again');
    }
    throw new Error(`nobody ever answered ${key}: ${JSON.stringify(wish)}`);
  }

  async #ask(wish: Wish, key: string, expectedVersion?: number): Promise<Answer | null> {
    const { host, service, vmId } = this.#setup;
    await this.#sleep(0.5, `asks ${key} ${JSON.stringify(wish)}`);
    if (host.faults.happens('request-lost')) return null;
    const answer = await service.ask(vmId, wish, key, expectedVersion);
    host.scheduler.note(`${key}: ${JSON.stringify(answer)}`);
    const outcome = answer?.kind === 'refused' ? answer.code : (answer?.kind ?? 'no answer');
    const counted = `${wish.what} ${outcome}`;
    this.answered.set(counted, (this.answered.get(counted) ?? 0) + 1);
    if (answer) this.#check(wish, key, answer);
    if (answer?.kind === 'recorded' && expectedVersion !== undefined)
      this.#checkVersion(answer, expectedVersion);
    return answer;
  }

  #check(wish: Wish, key: string, answer: Answer): void {
    const { eventIds } = this.#setup.reference;
    if (answer.kind === 'recorded') {
      const lost = answer.eventIds.find((id) => !eventIds.has(id));
      must(lost === undefined, 'I13', () => `${key} was acknowledged, but event ${lost} is not in the log`);
    }
    // A registration that is refused may have finished somebody else's that was half-done.
    if (answer.kind === 'refused' && wish.what !== 'register') this.refused.push(answer.operationId);
  }

  /** Whoever says which version they have seen decides on that one, or not at all. */
  #checkVersion({ eventIds }: Extract<Answer, { kind: 'recorded' }>, seen: number): void {
    const version = this.#setup.reference.eventIds.get(eventIds[0] ?? '');
    const isNext = version === undefined || version === seen + 1;
    must(isNext, 'I8', () => `version ${seen} was to be decided on, and ${version} was recorded`);
  }

  async #untilIdle(): Promise<void> {
    const { name } = this.#setup;
    const most = this.#setup.script ? TRIES_MAX : WAITS_MAX;
    for (let tries = 0; tries < most && this.#book?.open; tries += 1) {
      await this.#sleep(this.#chance.betweenLog(20, 4_000), 'waits');
      if (!this.#isPatientAfter(tries))
        await this.#ask({ what: 'cancel' }, `${name}-cancel-${this.#cancels++}`);
    }
  }

  #isPatientAfter(tries: number): boolean {
    const open = this.#book?.open;
    if (open && tries >= FOR_EVER_TRIES && watchesForEver(open)) return false;
    return this.#setup.script !== undefined || this.#isPatient || !this.#chance.happens(CANCEL_SHARE);
  }

  #sleep(ms: number, what: string): Promise<void> {
    const { host, name } = this.#setup;
    return new Promise((resolve) => void host.scheduler.after(ms, `${name} ${what}`, resolve));
  }
}
