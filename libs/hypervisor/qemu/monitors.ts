import { type Monitor, MonitorTrouble, openMonitor, type TranscriptEntry } from '#qmp';
import type { World } from '#world';
import { GREETING_TIMEOUT_MS } from '../bounds.ts';
import { requireMonitorPath } from './paths.ts';

/** QEMU serves one client a socket: long enough that one operation's looks share a session, no longer. */
const IDLE_MS = 5_000;

export type Sink = (entry: TranscriptEntry) => void;

/** Everybody in this process who talks over one monitor. */
interface Desk {
  session: Promise<Monitor> | null;
  usersCount: number;
  readonly sinks: Set<Sink>;
  /** Ends the wait after which an unused session is closed. */
  idle: AbortController;
}

type Surroundings = Pick<World, 'clock' | 'connect' | 'files'>;

/** Monitors of which it is remembered that somebody else held them. Losing it costs a condition until the next look. */
const HELD_MAX = 10_000;

/** One session per monitor, shared by all who look and the one who works. */
export class Monitors {
  readonly #world: Surroundings;
  readonly #roots: readonly string[];
  readonly #desks = new Map<string, Desk>();
  /** When each was found held, by its path. */
  readonly #held = new Map<string, number>();
  #isClosed = false;

  constructor(world: Surroundings, monitorRoots: readonly string[]) {
    this.#world = world;
    this.#roots = monitorRoots;
  }

  /** A place at the monitor's desk; connects when first used. `sink` is told all that goes over the wire. */
  line(path: string, sink: Sink | null = null): Line {
    const desk = this.#desks.get(path) ?? newDesk();
    this.#desks.set(path, desk);
    desk.idle.abort('taken');
    desk.usersCount += 1;
    if (sink) desk.sinks.add(sink);
    return new Line({
      hasSession: () => desk.session !== null,
      session: () => this.#session(path, desk),
      hangUp: () => this.#hangUp(desk),
      leave: () => this.#leave(path, desk, sink),
    });
  }

  /**
   * Since when whoever connects is not greeted, in ms since 1970; null when the last one was, or nobody listened.
   * QEMU greets one client at a time: a worker that lives and stands still, or a person's shell, keeps all others out.
   */
  heldSince(path: string): number | null {
    return this.#held.get(path) ?? null;
  }

  /** Ends every session, and opens none any more. */
  close(): void {
    this.#isClosed = true;
    for (const desk of this.#desks.values()) {
      desk.idle.abort('closed');
      void closed(desk);
    }
    this.#desks.clear();
  }

  #session(path: string, desk: Desk): Promise<Monitor> {
    desk.session ??= this.#open(path, desk);
    return desk.session;
  }

  async #open(path: string, desk: Desk): Promise<Monitor> {
    try {
      if (this.#isClosed) throw new MonitorTrouble('closed', 'this process is stopping');
      const resolved = await requireMonitorPath(this.#world.files, this.#roots, path);
      const transcript: Sink = (entry) => desk.sinks.forEach((sink) => sink(entry));
      const monitor = await openMonitor(this.#world, resolved, {
        transcript,
        greetingTimeoutMs: GREETING_TIMEOUT_MS,
      });
      this.#held.delete(path);
      monitor.onClose(() => (desk.session = null));
      return monitor;
    } catch (error) {
      desk.session = null;
      this.#remember(path, error);
      throw error;
    }
  }

  /** Since the first time of an unbroken row. */
  #remember(path: string, error: unknown): void {
    const isHeld = error instanceof MonitorTrouble && error.kind === 'occupied';
    if (!isHeld) this.#held.delete(path);
    else if (!this.#held.has(path) && this.#held.size < HELD_MAX)
      this.#held.set(path, this.#world.clock.now());
  }

  /** A session that others use stays: they may wait for an answer that takes long. */
  async #hangUp(desk: Desk): Promise<void> {
    if (desk.usersCount === 1) await closed(desk);
  }

  #leave(path: string, desk: Desk, sink: Sink | null): void {
    if (sink) desk.sinks.delete(sink);
    desk.usersCount -= 1;
    if (desk.usersCount > 0) return;
    desk.idle = new AbortController();
    void this.#closeWhenIdle(path, desk, desk.idle.signal);
  }

  async #closeWhenIdle(path: string, desk: Desk, taken: AbortSignal): Promise<void> {
    if (desk.session) await this.#world.clock.sleep(IDLE_MS, taken);
    if (taken.aborted) return;
    this.#desks.delete(path);
    await closed(desk);
  }
}

const newDesk = (): Desk => ({
  session: null,
  usersCount: 0,
  sinks: new Set(),
  idle: new AbortController(),
});

async function closed(desk: Desk): Promise<void> {
  const monitor = await desk.session?.catch(() => null); // It never opened: whoever opened it was told why.
  monitor?.close();
}

interface Seat {
  hasSession(): boolean;
  session(): Promise<Monitor>;
  hangUp(): Promise<void>;
  leave(): void;
}

/** One user's place at a monitor's desk. */
export class Line {
  readonly #seat: Seat;
  #held: Monitor | null = null;

  constructor(seat: Seat) {
    this.#seat = seat;
  }

  /** Whether a session stands already. Its QEMU may have died and we not yet have heard of it. */
  get hasSession(): boolean {
    return this.#seat.hasSession();
  }

  /** The monitor's session, opened when there is none. Throws `MonitorTrouble`, or `Refusal` for the path. */
  async reach(): Promise<Monitor> {
    this.#held = await this.#seat.session();
    return this.#held;
  }

  /**
   * The session of the last `reach` and never a new one: behind a new one there may be another QEMU than the one
   * that was looked at. Throws `MonitorTrouble` of kind `closed` when there is none.
   */
  get held(): Monitor {
    if (this.#held) return this.#held;
    throw new MonitorTrouble('closed', 'there is no session');
  }

  /** Ends a session on which nothing is answered any more, unless others use it. */
  async hangUp(): Promise<void> {
    await this.#seat.hangUp();
  }

  leave(): void {
    this.#seat.leave();
  }
}
