import type { MachineConfig } from '#ledger';
import type { Monitor, TranscriptEntry } from '#qmp';
import type { World } from '#world';
import { pass } from '../fault-points.ts';
import { reach } from './look.ts';
import { lookThroughMonitor } from './look-through-monitor.ts';
import { machineConfig } from './machine-config.ts';
import type { Monitors } from '../qemu/monitors.ts';
import type { Place } from '../place.ts';
import type { Sight } from './sight.ts';
import type { Transcript } from '../transcript.ts';

/** A machine changes. What was begun longer ago is not gone by; a commit of the log takes a few of these. */
const EARLY_LOOK_AGE_MAX_MS = 100;

/** What was said in a look, until its operation has taken it and listens for itself. */
interface Notes {
  readonly entries: TranscriptEntry[];
  isTaken: boolean;
}

interface EarlyLook {
  readonly begunAt: number;
  readonly notes: Notes;
  /** Null when it found nothing that could be gone by. Never rejects. */
  readonly found: Promise<Found | null>;
}

interface Found {
  readonly sight: Sight;
  /** The session that was looked over: behind another one there may be another QEMU. */
  readonly monitor: Monitor;
}

/**
 * Looks at machines of which something is being asked, while the request becomes durable. One look at a time and
 * machine, for the operation that comes next and for no other: what comes after that finds another machine.
 */
export class EarlyLooks {
  readonly #world: World;
  readonly #monitors: Monitors;
  readonly #looks = new Map<string, EarlyLook>();
  /** What each QEMU has told of its machine, by the session with it. */
  readonly #machines = new WeakMap<Monitor, MachineConfig>();

  constructor(world: World, monitors: Monitors) {
    this.#world = world;
    this.#monitors = monitors;
  }

  /**
   * Begins one, which asks what the machine consists of as well when memory will be captured or loaded. Changes nothing,
   * and does nothing while another is fresh.
   */
  begin(monitor: string, withMachine: boolean): void {
    if (this.#looks.has(monitor)) return;
    const notes: Notes = { entries: [], isTaken: false };
    const begunAt = this.#world.clock.monotonic();
    const look: EarlyLook = { begunAt, notes, found: this.#look(monitor, notes, withMachine) };
    this.#looks.set(monitor, look);
    void this.#forget(monitor, look);
  }

  /**
   * The operation begins: what was looked at for it is for nobody else. Gives back how to learn what was found, which
   * is nothing when that was too long ago or over another session than the place's own. `metAlive` is called when the
   * machine was on, whatever has become of it since.
   */
  take(
    monitor: string,
    transcript: Transcript,
    metAlive: () => void,
  ): (place: Place) => Promise<Sight | null> {
    const look = this.#looks.get(monitor);
    this.#looks.delete(monitor);
    if (!look || this.#world.clock.monotonic() - look.begunAt > EARLY_LOOK_AGE_MAX_MS) return nothing;
    look.notes.isTaken = true;
    look.notes.entries.forEach(transcript.said);
    return async (place) => {
      const found = await look.found;
      if (!found) return null;
      metAlive();
      return (await reach(place)) === found.monitor ? found.sight : null;
    };
  }

  async #look(monitor: string, notes: Notes, withMachine: boolean): Promise<Found | null> {
    const world = this.#world;
    const line = this.#monitors.line(monitor, (entry) => {
      if (!notes.isTaken) notes.entries.push(entry);
    });
    try {
      const session = await reach({ line, monitor });
      if (!session) return null;
      await pass(world, 'hypervisor.before-look');
      const [sight, machine] = await Promise.all([
        lookThroughMonitor({ world, monitor, line }, session),
        withMachine ? machineConfig(session, this.#machines.get(session)) : undefined,
      ]);
      if (machine) this.#machines.set(session, machine);
      await pass(world, 'hypervisor.after-look');
      return { sight: machine === undefined ? sight : { ...sight, machine }, monitor: session };
    } catch {
      return null; // Nothing rests on this look: the operation's own meets the same, and tells of it.
    } finally {
      line.leave();
    }
  }

  async #forget(monitor: string, look: EarlyLook): Promise<void> {
    await this.#world.clock.sleep(EARLY_LOOK_AGE_MAX_MS);
    if (this.#looks.get(monitor) === look) this.#looks.delete(monitor);
  }
}

const nothing = (): Promise<null> => Promise.resolve(null);
