import type { Leftover, OpenOperation, Orphan, Report, Vm } from '#ledger';
import type { World } from '#world';
import { cancel } from './qemu/cancel.ts';
import { carryOut } from './carry-out.ts';
import {
  asRefusal,
  type DescribedDisk,
  discover,
  type Discovered,
  requireDescribed,
} from './look/discover.ts';
import { EarlyLooks } from './look/early-looks.ts';
import type { Errand, Memory } from './errand.ts';
import type { Plan } from './plan/foreseen.ts';
import { Images } from './qemu/images.ts';
import { SoundImages } from './qemu/sound-images.ts';
import type { Journal } from './journal.ts';
import { commandLauncher, type LauncherCommands } from './qemu/launcher.ts';
import { removeLeftovers } from './delete/leftovers.ts';
import { look } from './look/look.ts';
import type { ClaimedFile, Place } from './place.ts';
import { planOf } from './plan/plan.ts';
import { Monitors } from './qemu/monitors.ts';
import { requireAgentPath, requireMonitorPath } from './qemu/paths.ts';
import { type Status, statusOf } from './look/status.ts';
import { Steps } from './steps.ts';
import { type OrphanLeft, removeOrphans } from './drift/orphans.ts';
import { type LayerLooks, type Survey, survey } from './drift/survey.ts';
import { Transcript } from './transcript.ts';

export interface HypervisorOptions {
  readonly world: World;
  /** Directories that monitors may lie in. None: no monitor may be opened. */
  readonly monitorRoots: readonly string[];
  /** Directories that images named by a caller may lie in. */
  readonly imageRoots: readonly string[];
  /** The images of all VMs but one, and what those stand on. Absent: there are no others. */
  readonly claimedBesides?: Place['claimedBesides'];
  /** Who we are, in the log. */
  readonly worker: string;
  readonly transcriptsDir: string;
  /** Where machines may send their memory to sockets of ours. Absent: memory is not captured as a stream. */
  readonly socketsDir?: string;
  /** The operator's commands that start and end machines. Absent: nobody here can. */
  readonly launcher?: LauncherCommands;
  /** What becomes of a machine that was started from a wrong layer. Absent: it is stopped. */
  readonly onWrongChain?: Place['onWrongChain'];
}

/** How snapshots are taken, loaded and deleted on real machines. The ledger says what; QEMU is only spoken to here. */
export interface Hypervisor {
  /**
   * Looks at a machine that is to be registered, within 5 s.
   *
   * @throws {Refusal} `path-not-allowed`, `not-a-monitor`, `host-unreachable`, `disk-unsupported`,
   *   `nothing-to-snapshot`, `invalid-body`
   */
  discover(asked: { monitor: string; disks?: readonly DescribedDisk[] }): Promise<Discovered>;

  /**
   * The path of a guest agent's socket without symbolic links. Nobody need listen there.
   *
   * @throws {Refusal} `path-not-allowed`
   */
  agentPath(path: string): Promise<string>;

  /**
   * Whether the machine can be snapshotted now, and each of its disks.
   *
   * @throws {Refusal} `host-unreachable` and what else keeps it from being looked at
   */
  status(vm: Readonly<Vm>): Promise<Status>;

  /**
   * Since when looks at the machine find its monitor held by somebody else, in ms since 1970; null when the last one
   * did not. Asks nobody.
   */
  heldSince(vm: Pick<Vm, 'monitor'>): number | null;

  /**
   * Something is being asked of the machine: begins to look at it, so that its operation finds that done. Changes
   * nothing, and nothing depends on it. Only for a machine on which no operation is open. `withMemory`: what the machine
   * consists of will matter.
   */
  expect(vm: Pick<Vm, 'monitor'>, withMemory?: boolean): void;

  /**
   * What carrying out the VM's open operation would do. Looks, and touches nothing.
   *
   * @throws {Refusal} what would end the operation before it began, and what keeps the machine from being looked at
   */
  plan(vm: Readonly<Vm>, operation: OpenOperation): Promise<Plan>;

  /**
   * Looks for drift in a VM that nobody works on. A machine on a wrong chain, or on nothing, is stopped.
   *
   * @throws {Refusal} as `status`
   */
  survey(vm: Readonly<Vm>): Promise<Survey>;

  /**
   * Carries out the VM's open operation, or finds out how far somebody else came with it and ends it. Neither `vm`
   * nor `operation` may change meanwhile.
   *
   * @throws {NotNow} when nothing can be decided yet; `Fenced` from the journal
   */
  carryOut(vm: Readonly<Vm>, operation: OpenOperation, journal: Journal): Promise<Report>;

  /**
   * Ends the copies that an operation makes. Whoever carries it out sees that, and ends it: `canceled`, or well when
   * none but copies of sync `none` were still running. Waits for nobody.
   *
   * @throws {Refusal} `not-cancelable` when there is nothing to end, `host-unreachable`
   */
  cancel(vm: Readonly<Vm>, operation: Pick<OpenOperation, 'id'>): Promise<void>;

  /**
   * Tries again to remove what a held operation left behind; returns those that are gone now.
   *
   * @throws {NotNow} when the machine cannot be looked at
   */
  removeLeftovers(vm: Readonly<Vm>): Promise<Leftover[]>;

  /**
   * Removes what the log names as orphans, as far as nobody needs it; returns what is left. Only for a VM that nobody
   * works on.
   *
   * @throws {Refusal} `vm-held`, and as `status`
   */
  removeOrphans(vm: Readonly<Vm>, orphans: readonly Orphan[]): Promise<OrphanLeft[]>;

  /** Ends all sessions. What is under way ends as after a lost connection. */
  close(): Promise<void>;
}

export function openHypervisor(options: HypervisorOptions): Hypervisor {
  const { world, monitorRoots, imageRoots, worker, transcriptsDir, socketsDir = null } = options;
  const { launcher: commands, onWrongChain = 'stop', claimedBesides = nobodys } = options;
  const looks: LayerLooks = new Map();
  const sound = new SoundImages(world);
  const monitors = new Monitors(world, monitorRoots);
  const earlyLooks = new EarlyLooks(world, monitors);
  const memory = nothingKnown();

  /** Somewhere to look at a machine from, for as long as `work` takes. */
  async function at<T>(
    { monitor, disks }: Pick<Vm, 'monitor' | 'disks'>,
    transcript: Transcript | null,
    work: (place: Place) => Promise<T>,
  ): Promise<T> {
    const line = monitors.line(monitor, transcript?.said ?? null);
    try {
      const images = new Images(world, transcript?.ran, sound);
      const launcher = commands ? commandLauncher(world, commands, transcript?.ran) : null;
      const roots = { monitorRoots, imageRoots, claimedBesides, socketsDir, launcher };
      return await work({ world, monitor, line, images, ...roots, onWrongChain, disks });
    } finally {
      line.leave();
    }
  }

  /** The same for whoever does not wait. */
  const looking = <T>(vm: Readonly<Vm>, work: (place: Place) => Promise<T>): Promise<T> =>
    at(vm, null, orRefused(work));

  return {
    async discover({ monitor, disks = [] }) {
      const resolved = await requireMonitorPath(world.files, monitorRoots, monitor);
      const described = await requireDescribed(world.files, imageRoots, disks);
      return at({ monitor: resolved, disks: described }, null, orRefused(discover));
    },

    agentPath: (path) => requireAgentPath(world.files, monitorRoots, path),

    status: (vm) => looking(vm, async (place) => statusOf(place, vm, await look(place, 'shared'))),

    survey: (vm) => looking(vm, (place) => survey(place, vm, looks)),

    plan(vm, operation) {
      const transcript = new Transcript(world, transcriptsDir, operation.id); // Is thrown away.
      const nobody = { worker, journal: NO_JOURNAL, memory: nothingKnown(), foreseen: async () => null };
      const surroundings = { ...nobody, transcript };
      return at(vm, null, (place) => planOf(errandOf({ place, ...surroundings }, vm, operation), operation));
    },

    heldSince: ({ monitor }) => monitors.heldSince(monitor),
    expect: ({ monitor }, withMemory = false) => earlyLooks.begin(monitor, withMemory),

    carryOut(vm, operation, journal) {
      const transcript = new Transcript(world, transcriptsDir, operation.id);
      const metAlive = (): void => void memory.metAlive.add(operation.id);
      const foresee = earlyLooks.take(vm.monitor, transcript, metAlive);
      const surroundings = { worker, journal, transcript, memory };
      return at(vm, transcript, (place) => {
        const foreseen = () => foresee(place);
        return untilReported(errandOf({ place, ...surroundings, foreseen }, vm, operation), operation);
      });
    },

    cancel: (vm, { id }) => at(vm, null, (place) => cancel(place, id)),
    removeLeftovers: (vm) => at(vm, null, (place) => removeLeftovers(place, vm.hold?.leftovers ?? [])),
    removeOrphans: (vm, orphans) => looking(vm, (place) => removeOrphans(place, vm, orphans)),
    close: async () => monitors.close(),
  };
}

/** Whoever only looks does not wait for what cannot be told now. */
const orRefused =
  <T>(work: (place: Place) => Promise<T>) =>
  async (place: Place): Promise<T> => {
    try {
      return await work(place);
    } catch (error) {
      throw asRefusal(error);
    }
  };

const nobodys = async (): Promise<readonly ClaimedFile[]> => [];

const nothingKnown = (): Memory => ({
  mended: new Set(),
  metAlive: new Set(),
  troubles: new Map(),
  quiesced: new Map(),
  frozen: new Map(),
  strange: new Map(),
  copied: new Set(),
  ofOneInstant: new Set(),
  pushed: new Map(),
  dropped: new Map(),
  streamed: new Map(),
  stopped: new Map(),
  signed: new Set(),
  launched: new Map(),
});

const recordsNothing = (): never => {
  throw new Error('a plan records nothing');
};

/** Of whoever only plans. */
const NO_JOURNAL: Journal = {
  disks: recordsNothing,
  begin: recordsNothing,
  pinned: recordsNothing,
  loaded: recordsNothing,
  progress: recordsNothing,
};

async function untilReported(errand: Errand, operation: OpenOperation): Promise<Report> {
  try {
    const report = await carryOut(errand, operation);
    forget(errand.memory, operation.id);
    if (operation.kind === 'load' && operation.request.pin)
      forget(errand.memory, operation.request.pin.snapshotId);
    return report;
  } finally {
    await errand.transcript.flush(); // Of an operation that goes on later as well.
  }
}

function forget(memory: Memory, operationId: string): void {
  for (const known of Object.values(memory)) known.delete(operationId);
}

type Surroundings = Pick<Errand, 'place' | 'worker' | 'journal' | 'transcript' | 'memory' | 'foreseen'>;

const errandOf = (surroundings: Surroundings, vm: Readonly<Vm>, operation: OpenOperation): Errand => ({
  ...surroundings,
  steps: new Steps(surroundings.place.world.clock),
  operationId: operation.id,
  isFirst: operation.started === null,
  vm,
  down: new Map(),
  damage: [],
});
