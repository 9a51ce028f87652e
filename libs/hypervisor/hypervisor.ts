import type { Leftover, OpenOperation, Report, Vm } from '#ledger';
import type { World } from '#world';
import { carryOut } from './carry-out.ts';
import { asRefusal, type DescribedDisk, discover, type Discovered, requireDescribed } from './discover.ts';
import { EarlyLooks } from './early-looks.ts';
import type { Errand, Memory } from './errand.ts';
import { Images } from './images.ts';
import type { Journal } from './journal.ts';
import { removeLeftovers } from './leftovers.ts';
import { look } from './look.ts';
import type { Place } from './place.ts';
import { Monitors } from './monitors.ts';
import { requireMonitorPath } from './paths.ts';
import { type Status, statusOf } from './status.ts';
import { Steps } from './steps.ts';
import { Transcript } from './transcript.ts';

export interface HypervisorOptions {
  readonly world: World;
  /** Directories that monitors may lie in. None: no monitor may be opened. */
  readonly monitorRoots: readonly string[];
  /** Directories that images named by a caller may lie in. */
  readonly imageRoots: readonly string[];
  /** Who we are, in the log. */
  readonly worker: string;
  readonly transcriptsDir: string;
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
   * Whether the machine can be snapshotted now, and each of its disks.
   *
   * @throws {Refusal} `host-unreachable` and what else keeps it from being looked at
   */
  status(vm: Readonly<Vm>): Promise<Status>;

  /**
   * Something is being asked of the machine: begins to look at it, so that its operation finds that done. Changes
   * nothing, and nothing depends on it. Only for a machine on which no operation is open.
   */
  expect(vm: Pick<Vm, 'monitor'>): void;

  /**
   * Carries out the VM's open operation, or finds out how far somebody else came with it and ends it. Neither `vm`
   * nor `operation` may change meanwhile.
   *
   * @throws {NotNow} when nothing can be decided yet; `Fenced` from the journal
   */
  carryOut(vm: Readonly<Vm>, operation: OpenOperation, journal: Journal): Promise<Report>;

  /**
   * Tries again to remove what a held operation left behind; returns those that are gone now.
   *
   * @throws {NotNow} when the machine cannot be looked at
   */
  removeLeftovers(vm: Readonly<Vm>): Promise<Leftover[]>;

  /** Ends all sessions. What is under way ends as after a lost connection. */
  close(): Promise<void>;
}

export function openHypervisor(options: HypervisorOptions): Hypervisor {
  const { world, monitorRoots, imageRoots, worker, transcriptsDir } = options;
  const monitors = new Monitors(world, monitorRoots);
  const earlyLooks = new EarlyLooks(world, monitors);
  const memory: Memory = { mended: new Set(), metAlive: new Set(), troubles: new Map() };

  /** Somewhere to look at a machine from, for as long as `work` takes. */
  async function at<T>(
    { monitor, disks }: Pick<Vm, 'monitor' | 'disks'>,
    transcript: Transcript | null,
    work: (place: Place) => Promise<T>,
  ): Promise<T> {
    const line = monitors.line(monitor, transcript?.said ?? null);
    try {
      return await work({ world, monitor, line, images: new Images(world, transcript?.ran), disks });
    } finally {
      line.leave();
    }
  }

  return {
    async discover({ monitor, disks = [] }) {
      const resolved = await requireMonitorPath(world.files, monitorRoots, monitor);
      const described = await requireDescribed(world.files, imageRoots, disks);
      return at({ monitor: resolved, disks: described }, null, discover);
    },

    status: (vm) =>
      at(vm, null, async (place) => {
        try {
          return await statusOf(place, vm, await look(place, 'shared'));
        } catch (error) {
          throw asRefusal(error);
        }
      }),

    expect: ({ monitor }) => earlyLooks.begin(monitor),

    carryOut(vm, operation, journal) {
      const transcript = new Transcript(world, transcriptsDir, operation.id);
      const metAlive = (): void => void memory.metAlive.add(operation.id);
      const foresee = earlyLooks.take(vm.monitor, transcript, metAlive);
      return at(vm, transcript, async (place) => {
        const foreseen = () => foresee(place);
        const errand = errandOf({ place, worker, journal, transcript, memory, foreseen }, vm, operation);
        try {
          const report = await carryOut(errand, operation);
          memory.mended.delete(operation.id);
          memory.metAlive.delete(operation.id);
          memory.troubles.delete(operation.id);
          return report;
        } finally {
          await transcript.flush(); // Of an operation that goes on later as well.
        }
      });
    },

    removeLeftovers: (vm) => at(vm, null, (place) => removeLeftovers(place, vm.hold?.leftovers ?? [])),

    async close() {
      monitors.close();
    },
  };
}

type Surroundings = Pick<Errand, 'place' | 'worker' | 'journal' | 'transcript' | 'memory' | 'foreseen'>;

const errandOf = (surroundings: Surroundings, vm: Readonly<Vm>, operation: OpenOperation): Errand => ({
  ...surroundings,
  steps: new Steps(surroundings.place.world.clock),
  operationId: operation.id,
  isFirst: operation.started === null,
  vm,
  damage: [],
});
