import type { Chance } from './chance.ts';
import { History } from './history.ts';
import { type Coming, type Hands, PointFaults } from './point-faults.ts';
import type { Kind } from './point-kinds.ts';

/** Everything that can go wrong by itself in a simulated world: how likely it is at each chance it gets. */
const RATES = {
  /** SIGKILL between two steps of QEMU's work, with whatever is half-done on the disks. */
  'qemu-killed': 0.03,
  /** QEMU's main loop stands still, and every monitor with it. */
  'qemu-stalled': 0.01,
  /** The connection breaks before QEMU has read the command. */
  'connection-reset': 0.01,
  /** The command runs, and its answer is lost with the connection. */
  'reply-lost': 0.015,
  /** The same while QEMU sends its memory. */
  'reply-lost-in-migration': 0.3,
  /** QEMU sends its memory for so long that whoever waits for it may be gone. */
  'migration-slow': 0.4,
  /** The command runs, and its answer comes when nobody waits any more. */
  'reply-late': 0.006,
  'reply-twice': 0.02,
  /** A snapshot cannot be created on a disk: no space is left there. */
  'create-no-space': 0.1,
  /** What a failed transaction made cannot be taken back: the snapshot stays in the file, and QEMU forgets it. */
  'rollback-failed': 0.9,
  'delete-io-error': 0.05,
  'load-io-error': 0.08,
  'vm-state-lost': 0.3,
  /** A copy between images finds no space in the middle. */
  'copy-no-space': 0.03,
  'agent-refuses': 0.15,
  /** The guest agent answers when nobody waits any more. */
  'agent-silent': 0.1,
  /** The guest agent hangs up. */
  'agent-gone': 0.15,
  /** The operator's command that starts or ends a machine says no. */
  'launch-failed': 0.3,
  /** qemu-img is killed half-way. */
  'image-tool-killed': 0.01,
  /** qemu-img takes so long that whoever started it may be gone. */
  'image-tool-slow': 0.03,
  /** ledgerd dies before any event that concerns it. */
  'ledgerd-killed': 0.004,
  /** ledgerd dies at one of its named points. */
  'ledgerd-killed-at-point': 0.03,
  /** ledgerd dies right before an event is committed, or right after. */
  'ledgerd-killed-in-append': 0.02,
  'store-full': 0.01,
  'store-unavailable': 0.01,
  /** Committed, but whoever asked cannot know. */
  'store-unheard': 0.01,
  /** The power goes with ledgerd: what its views had not synced is lost. */
  'views-not-synced': 0.3,
  /** A caller's request never reaches ledgerd. */
  'request-lost': 0.05,
  /** ledgerd answers a caller, who never hears it. */
  'answer-lost': 0.1,
  /** The host goes down at one of ledgerd's named points, and with it what no directory holds for good. */
  'power-lost': 0.01,
  /** SIGKILL in the middle of a revert, where it leaves the image torn. */
  'load-killed': 0.1,
} as const;

/** Where things go wrong in a world that is made for it. */
export interface Aimed {
  /** What is touched there and hardly anywhere else: in each world most happens at one of them. */
  readonly aims: readonly string[];
  /** What may go wrong there in any case. */
  readonly faults?: readonly Fault[];
}

export type Fault = keyof typeof RATES;
export const FAULTS = Object.keys(RATES) as Fault[];

/** A world in which nothing goes wrong. */
export const noFaults: Fate = { happens: () => false, at: () => null, answer: () => null };

/** So that a world with bad luck comes to an end. */
const EACH_MAX = 6;
/** Half of the worlds never see a given fault: what two faults do together shows best where the others are absent. */
const ENABLED_SHARE = 0.5;
/** Where something is aimed at: else nobody would come there. */
const ENABLED_WHERE_AIMED_SHARE = 0.1;

/** Whoever decides what goes wrong. */
export interface Fate {
  /** Whether it happens at this occasion. */
  happens(fault: Fault): boolean;
  /** What a process has to do at one of its fault points; null: to go on. */
  at(point: string, hands: () => Hands): Coming | null;
  /** What becomes of the answer to something that was said; null: it comes. */
  answer(touch: string): Kind | null;
}

/** A fate that ends, and tells what it has done. */
export interface Luck extends Fate {
  readonly points: PointFaults;
  /** How often each happened. */
  readonly happened: ReadonlyMap<Fault, number>;
  /** From now on nothing goes wrong any more: what is half-done must come to an end. */
  heal(): void;
}

/** What goes wrong in one world. Draws which faults exist at all, and then each of their occasions. */
export class Faults implements Luck {
  /** What happens beside each touch of the world. */
  readonly points: PointFaults;
  readonly #chance: Chance;
  readonly #rates = new Map<Fault, number>();
  readonly #happened = new Map<Fault, number>();
  readonly #history: History;
  #isHealed = false;

  constructor(chance: Chance, history = new History(), aimed: Aimed | null = null) {
    this.#chance = chance;
    this.points = new PointFaults(chance.fork('points'), aimed?.aims);
    this.#history = history;
    for (const fault of FAULTS) {
      const isMeant = aimed?.faults?.includes(fault) ?? false;
      if (chance.happens(aimed ? ENABLED_WHERE_AIMED_SHARE : ENABLED_SHARE) || isMeant)
        this.#rates.set(fault, RATES[fault] * chance.betweenLog(0.3, 5));
    }
  }

  happens(fault: Fault): boolean {
    const rate = this.#rates.get(fault);
    if (rate === undefined || this.#isHealed || !this.#chance.happens(rate)) return false;
    const times = this.#happened.get(fault) ?? 0;
    if (times === EACH_MAX) return false;
    this.#happened.set(fault, times + 1);
    return this.#history.has(`${fault}#${times + 1}`);
  }

  /** From now on nothing goes wrong any more: what is half-done must come to an end. */
  heal(): void {
    this.#isHealed = true;
    this.points.heal();
  }

  at(point: string, hands: () => Hands): Coming | null {
    return this.points.at(point, hands);
  }

  answer(touch: string): Kind | null {
    return this.points.answer(touch);
  }

  /** How often each happened. */
  get happened(): ReadonlyMap<Fault, number> {
    return this.#happened;
  }
}
