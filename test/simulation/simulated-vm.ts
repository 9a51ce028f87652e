import type { Finished } from '#world';
import { Downtime } from './downtime.ts';
import { Agent } from './qemu/agent.ts';
import { Guest } from './qemu/guest.ts';
import type { Image } from './qemu/image.ts';
import { type DiskSetup, Machine } from './qemu/machine.ts';
import { takeUp } from './qemu/migration.ts';
import { Monitor } from './qemu/monitor.ts';
import { imageChecked } from './qemu/tool.ts';
import { QmpError } from './qemu/qmp-error.ts';
import { pause } from './qemu/work.ts';
import { directoryOf } from './simulated-files.ts';
import type { SimulatedHost } from './simulated-host.ts';

import { Violation } from './violation.ts';

/** From the start of the process to its first greeting. */
const START_LEAST_MS = 24;
const START_MOST_MS = 45;
/** How long whoever looks after the machine takes to notice that it died. */
const RESTART_LEAST_MS = 20;
const RESTART_MOST_MS = 30_000;
const RETRY_START_MS = 500;
/** Of the machines that died, those which nobody starts again. */
const STAYS_OFF_SHARE = 0.15;
const WAITS_SHARE = 0.3;

/** What a machine is started from: a file for each device. */
export type Tops = ReadonlyMap<string, string>;

/** How one process is started. */
interface Launch {
  readonly isWaiting: boolean;
  readonly tops: Tops;
  /** Where it waits for its memory; null: it has none to wait for. */
  readonly incoming: string | null;
}

/**
 * A virtual machine as its owner sees it: a guest, its images, a monitor's path, and someone who starts QEMU again when
 * it died. QEMU processes come and go.
 */
export class SimulatedVm {
  readonly name: string;
  readonly monitorPath: string;
  readonly agentPath: string;
  /** Where its images are. */
  readonly directory: string;
  /** As it was in the beginning. */
  readonly disks: readonly DiskSetup[];
  readonly guest = new Guest();
  /** Null while the machine is off. */
  machine: Machine | null = null;
  /** Whether the owner wants the guest to run; loads change that too. */
  isMeantToRun = false;
  /** Disks of which a person has said that they are fine as they are. */
  readonly acceptedDisks = new Set<Image>();
  readonly downtime = new Downtime();
  /** When the power took a QEMU at which nobody had ever looked, below overlays that were going down; -1: never. */
  lostUnseenMs = -1;
  /** When a process was started, or the owner did something to it. */
  lastTouchedMs = 0;
  /** When the last process was started; -1: none was. */
  lastStartedMs = -1;
  /** Whether a process is about to be started. */
  isStarting = false;
  /** The files that the machine's owner starts it from: what the ledger says. */
  tops: () => Tops = () => new Map();
  /** Is told when a process has read the disks anew. */
  onBoot: () => void = () => undefined;
  readonly host: SimulatedHost;
  #starts = 0;

  constructor(host: SimulatedHost, name: string, disks: readonly DiskSetup[]) {
    this.host = host;
    this.name = name;
    this.monitorPath = `/run/vms/${name}.sock`;
    this.agentPath = `/run/vms/${name}-agent.sock`;
    this.disks = disks;
    this.directory = directoryOf(disks[0]?.image.path ?? '');
    host.vms.push(this);
    host.files.makeDirectory('/run/vms');
    host.addDirectory(this.directory, () => this.guest.instant);
    for (const { image } of disks) host.files.putImage(image);
    host.files.syncDirectory(this.directory);
  }

  /** All that lie in its directory. */
  get images(): Image[] {
    return [...this.host.files.images()].filter(({ path }) => directoryOf(path) === this.directory);
  }

  /** Those that are half reverted, and that nobody wants so. */
  get torn(): Image[] {
    return this.images.filter((image) => image.health === 'torn' && !this.acceptedDisks.has(image));
  }

  powerOn(isWaiting: boolean, delayMs = 0): void {
    if (this.machine || this.isStarting) return;
    this.isStarting = true;
    const { chance, scheduler } = this.host;
    const ms = delayMs + chance.between(START_LEAST_MS, START_MOST_MS);
    scheduler.after(ms, `${this.name} is started`, () => this.#start(isWaiting));
  }

  /** Nobody checks or repairs its disks before it is really off: a QEMU that restarts would meet the lock. */
  readonly sees = (args: readonly string[]): void => {
    const checked = imageChecked(args);
    if (this.machine || checked === null || ![...this.tops().values()].includes(checked)) return;
    const { scheduler } = this.host;
    if (this.downtime.isKnown(scheduler.nowMs)) return;
    // Not at once: whoever started the check would take it for trouble of the check.
    scheduler.after(0, `${this.name} is checked too early`, () => {
      throw new Violation(
        'a restart is left alone',
        `${checked} is checked while ${this.name} may be restarting`,
      );
    });
  };

  /** In good order: the monitor's socket is gone afterwards. */
  powerOff(): void {
    this.#ask('quit', (machine) => this.#end(machine));
  }

  /** SIGKILL, and nobody starts it again. */
  kill(): void {
    const { machine } = this;
    this.machine = null;
    machine?.kill();
  }

  /** The owner's own `stop` or `cont`. */
  pauseOrResume(): void {
    this.#ask('stop or cont', (machine) => {
      if (machine.isRunning) machine.stop('paused');
      else if (machine.status === 'paused' || machine.status === 'prelaunch') machine.resume();
      this.isMeantToRun = machine.isRunning;
    });
  }

  /** The owner lets it run, unless somebody is at work on it when it comes to that, or a load has left it without a disk. */
  resumeUnless(isBusy: () => boolean): void {
    this.#ask('cont', (machine) => {
      const isWhole = machine.graph.devices.every(({ node }) => node.image);
      const stands = machine.status === 'paused' || machine.status === 'prelaunch';
      if (!stands || !isWhole || isBusy()) return;
      machine.resume();
      this.isMeantToRun = machine.isRunning;
    });
  }

  /** What the operator's command does that starts the machine for a load; null when it cannot. */
  launch(tops: Tops, incoming: string | null): Finished {
    if (this.machine || this.isStarting) return { code: 1, stdout: '', stderr: 'it runs already\n' };
    const why = this.#begin({ isWaiting: true, tops, incoming });
    return why === null
      ? { code: 0, stdout: '', stderr: '' }
      : { code: 1, stdout: '', stderr: `it does not start: ${why}\n` };
  }

  /** What the operator's command does that ends it. */
  halt(): Finished {
    if (this.machine) this.#end(this.machine);
    return { code: 0, stdout: '', stderr: '' };
  }

  #end(machine: Machine): void {
    this.machine = null;
    this.isMeantToRun = false;
    machine.graph.flush();
    machine.kill('ends');
    this.host.files.unlink(this.monitorPath);
  }

  /** What the owner wants waits for the main loop, as everything does. */
  #ask(what: string, act: (machine: Machine) => void): void {
    const { machine } = this;
    if (!machine) return;
    const work = pause.bind(null, this.host.chance, 0.1, 'begins');
    machine.enqueue(`owner: ${what}`, work, () => {
      this.lastTouchedMs = this.host.scheduler.nowMs;
      act(machine);
    });
  }

  #start(isWaiting: boolean): void {
    this.isStarting = false;
    if (this.machine) return;
    const why = this.#begin({ isWaiting, tops: this.tops(), incoming: null });
    if (why === null) return;
    this.host.scheduler.note(`${this.name} cannot start: ${why}`);
    this.powerOn(isWaiting, RETRY_START_MS);
  }

  /** Null when it has begun, else why not. */
  #begin({ isWaiting, tops, incoming }: Launch): string | null {
    this.#starts += 1;
    const name = `${this.name}.${this.#starts}`;
    const { guest, host } = this;
    let machine: Machine;
    try {
      const disks = this.disks.map((disk) => ({ ...disk, image: this.#imageOf(disk, tops) }));
      machine = new Machine(host, { name, disks, isWaiting, guest, isIncoming: incoming !== null });
    } catch (error) {
      if (error instanceof QmpError) return error.message;
      throw error;
    }
    this.machine = machine;
    this.isMeantToRun = machine.isRunning;
    this.lastTouchedMs = host.scheduler.nowMs;
    this.lastStartedMs = host.scheduler.nowMs;
    this.downtime.end(host.scheduler.nowMs);
    host.listen(this.monitorPath, new Monitor(machine));
    host.listen(this.agentPath, new Agent(machine));
    if (incoming === null) this.onBoot();
    else this.#await(machine, incoming);
    machine.letGuestRun();
    const over = host.onPowerLoss(() => {
      if (!machine.isLookedAt && host.isPushOpen(this.directory)) this.lostUnseenMs = host.scheduler.nowMs;
      machine.kill('loses its power');
    });
    machine.onDeath(() => {
      over();
      this.downtime.begin(host.scheduler.nowMs);
      this.#died();
    });
    return null;
  }

  #await(machine: Machine, path: string): void {
    const { incoming, files } = this.host;
    files.make(path, 'socket');
    incoming.set(path, (memory, done) => takeUp(machine, memory, done));
    machine.onDeath(() => incoming.delete(path));
  }

  #imageOf({ device, node, image }: DiskSetup, tops: Tops): Image {
    const path = tops.get(device ?? node) ?? image.path;
    const found = this.host.files.image(path);
    if (found) return found;
    throw new QmpError(`Could not open '${path}': No such file or directory`);
  }

  #died(): void {
    this.host.listeners.delete(this.monitorPath);
    this.host.listeners.delete(this.agentPath);
    if (!this.machine) return; // Its owner ended it.
    this.machine = null;
    this.isMeantToRun = false;
    const { chance } = this.host;
    if (chance.happens(STAYS_OFF_SHARE)) return;
    this.powerOn(chance.happens(WAITS_SHARE), chance.betweenLog(RESTART_LEAST_MS, RESTART_MOST_MS));
  }
}
