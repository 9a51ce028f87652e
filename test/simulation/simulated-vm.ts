import type { Image } from './qemu/image.ts';
import { type DiskSetup, Guest, lockTrouble, Machine } from './qemu/machine.ts';
import { Monitor } from './qemu/monitor.ts';
import { pause } from './qemu/work.ts';
import type { SimulatedHost } from './simulated-host.ts';

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

/**
 * A virtual machine as its owner sees it: a guest, its images, a monitor's path, and someone who starts QEMU again when
 * it died. QEMU processes come and go.
 */
export class SimulatedVm {
  readonly name: string;
  readonly monitorPath: string;
  readonly disks: readonly DiskSetup[];
  readonly guest = new Guest();
  /** Null while the machine is off. */
  machine: Machine | null = null;
  /** Whether the owner wants the guest to run; loads change that too. */
  isMeantToRun = false;
  /** When a process was started, or the owner did something to it. */
  lastTouchedMs = 0;
  /** Whether a process is about to be started. */
  isStarting = false;
  readonly #host: SimulatedHost;
  #starts = 0;

  constructor(host: SimulatedHost, name: string, disks: readonly DiskSetup[]) {
    this.#host = host;
    this.name = name;
    this.monitorPath = `/run/vms/${name}.sock`;
    this.disks = disks;
    host.files.makeDirectory('/run/vms');
    for (const { image } of disks) host.addImage(image, () => this.guest.instant);
  }

  get images(): Image[] {
    return this.disks.map(({ image }) => image);
  }

  powerOn(isWaiting: boolean, delayMs = 0): void {
    if (this.machine || this.isStarting) return;
    this.isStarting = true;
    const { chance, scheduler } = this.#host;
    const ms = delayMs + chance.between(START_LEAST_MS, START_MOST_MS);
    scheduler.after(ms, `${this.name} is started`, () => this.#start(isWaiting));
  }

  /** In good order: the monitor's socket is gone afterwards. */
  powerOff(): void {
    this.#ask('quit', (machine) => {
      this.machine = null;
      this.isMeantToRun = false;
      machine.kill('ends');
      this.#host.files.unlink(this.monitorPath);
    });
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
      else if (machine.status !== 'restore-vm') machine.resume(); // That one is a failed load: nobody's to resume.
      this.isMeantToRun = machine.isRunning;
    });
  }

  /** What the owner wants waits for the main loop, as everything does. */
  #ask(what: string, act: (machine: Machine) => void): void {
    const { machine } = this;
    if (!machine) return;
    const work = pause.bind(null, this.#host.chance, 0.1, 'begins');
    machine.enqueue(`owner: ${what}`, work, () => {
      this.lastTouchedMs = this.#host.scheduler.nowMs;
      act(machine);
    });
  }

  #start(isWaiting: boolean): void {
    this.isStarting = false;
    if (this.images.some((image) => lockTrouble(image, 'write'))) {
      this.#host.scheduler.note(`${this.name} cannot start: an image is locked`);
      return this.powerOn(isWaiting, RETRY_START_MS);
    }
    this.#starts += 1;
    const name = `${this.name}.${this.#starts}`;
    const machine = new Machine(this.#host, { name, disks: this.disks, isWaiting, guest: this.guest });
    this.machine = machine;
    this.isMeantToRun = !isWaiting;
    this.lastTouchedMs = this.#host.scheduler.nowMs;
    this.#host.listen(this.monitorPath, new Monitor(machine));
    machine.letGuestRun();
    machine.onDeath(() => this.#died());
  }

  #died(): void {
    this.#host.monitors.delete(this.monitorPath);
    if (!this.machine) return; // Its owner ended it.
    this.machine = null;
    this.isMeantToRun = false;
    const { chance } = this.#host;
    if (chance.happens(STAYS_OFF_SHARE)) return;
    this.powerOn(chance.happens(WAITS_SHARE), chance.betweenLog(RESTART_LEAST_MS, RESTART_MOST_MS));
  }
}
