import { ConnectTrouble, FileTrouble, pointBeside, type Side } from '#world';
import { StoreTrouble } from '#event-store';
import type { Chance } from './chance.ts';
import { KIND_RULES, type Kind } from './point-kinds.ts';
import { PASSES_PER_WORLD } from './point-passes.ts';

/** How often each kind of fault is to strike each touch, in a world on average. */
const AIM_PER_WORLD = 0.0045;
/** At a touch that is hardly ever made it is likelier, and at most that likely. */
const RATE_MAX = 0.12;
/** How often each kind strikes the one touch that is aimed at. */
const AIMED_RATE = 0.1;
/** Worlds in which nothing of this kind happens, but where something is aimed at: all other faults are by themselves. */
const QUIET_SHARE = 0.4;
/** From the least to the most, in worlds on average; and less where something is aimed at, for else nobody comes there. */
const SCALES = [0.67, 4.2] as const;
const SCALES_WHERE_AIMED = [0.1, 2] as const;
/** So that a world with bad luck comes to an end. */
const STRIKES_MAX = 12;

/** Long enough for somebody else to come first. */
const OVERTAKEN_LEAST_MS = 20;
const DELAY_LEAST_MS = 0.1;
const DELAY_MOST_MS = 20_000;
const LATE_LEAST_MS = 10;
const LATE_MOST_MS = 90_000;

/** What else a process has to do at a point: after so long, and then this, which may throw. */
export interface Coming {
  readonly ms: number;
  readonly act: () => void;
}

/** What strikes can do to the rest of the world. */
export interface Hands {
  /** SIGKILL for the process that passes. */
  kill(): void;
  /** False when there is no QEMU that could die. */
  killQemu(): boolean;
  fillDisk(): void;
  jumpClock(): void;
  /** Somebody asks for something meanwhile. */
  interrupt(): void;
}

/**
 * Which kind of fault can come at which side of a touch; what comes with an answer, its sender draws. More than once what
 * often comes to nothing: nobody may come first, no QEMU may be there to die, and a touch that fails has no other side.
 */
const BY_SIDE = {
  before: [
    ...(['crash before', 'error', 'delay', 'disk full', 'clock jump'] as const),
    ...(['reorder', 'reorder'] as const),
    ...(['QEMU death', 'QEMU death'] as const),
  ],
  after: ['crash after', 'crash after', 'answer lost', 'answer lost', 'answer late', 'answer late'],
} as const satisfies Record<Side, readonly Kind[]>;

const BY_SENDER = [
  'answer lost',
  'answer lost',
  'answer late',
  'answer late',
  'duplicate',
  'duplicate',
] as const satisfies readonly Kind[];

/** Mostly touched while ledgerd ends, and takes nobody any more: there it is tried that much more often that somebody comes first. */
const HARDLY_OVERTAKEN: ReadonlyMap<string, number> = new Map([['states.put', 14]]);

interface Point {
  readonly touch: string;
  readonly kinds: readonly Kind[];
  /** For each of the kinds. */
  readonly rate: number;
}

/**
 * Every kind of fault at every touch of the world, as far as it can come there, and about as often at what is seldom
 * touched as at what is touched all the time.
 */
export class PointFaults {
  /** How often each kind has struck each touch. */
  readonly struck = new Map<string, Map<Kind, number>>();
  /** How often each touch was begun. */
  readonly begun = new Map<string, number>();
  readonly #chance: Chance;
  readonly #aim: string | null;
  readonly #scale: number;
  readonly #points = new Map<string, Point | null>();
  #strikes = 0;
  #begunCount = 0;
  #isHealed = false;

  /** `aims`: most happens at one of these. Empty: anywhere. */
  constructor(chance: Chance, aims: readonly string[] = []) {
    this.#chance = chance;
    this.#aim = chance.pick(aims) ?? null;
    const isQuiet = chance.happens(QUIET_SHARE);
    const [least, most] = this.#aim === null ? SCALES : SCALES_WHERE_AIMED;
    this.#scale = isQuiet ? 0 : chance.betweenLog(least, most);
  }

  /** From now on nothing goes wrong any more. */
  heal(): void {
    this.#isHealed = true;
  }

  /** Counts a point that is passed. */
  passes(point: string): void {
    const [side, touch] = sideOf(point);
    if (side === 'before') this.#begins(touch);
  }

  /** What happens at a point; null: nothing, and the program goes on at once. */
  at(point: string, reach: () => Hands): Coming | null {
    const [side, touch] = sideOf(point);
    if (side === 'before') this.#begins(touch);
    const kind = this.#drawn(this.#pointAt(point, touch, BY_SIDE[side]));
    if (kind === null) return null;
    const hands = reach();
    if (kind === 'QEMU death' && !hands.killQemu()) return null;
    if (kind !== 'reorder') this.strike(touch, kind); // That one counts when somebody has come first.
    return this.#coming(kind, touch, hands);
  }

  /** What becomes of an answer to something that was said. */
  answer(touch: string): Kind | null {
    const kind = this.#drawn(this.#pointAt(`answer to ${touch}`, touch, BY_SENDER));
    if (kind !== null) this.strike(touch, kind);
    return kind;
  }

  /** Counts a fault that somebody else has drawn. */
  strike(touch: string, kind: Kind): void {
    const kinds = this.struck.get(touch) ?? new Map<Kind, number>();
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    this.struck.set(touch, kinds);
  }

  #begins(touch: string): void {
    this.#begunCount += 1;
    this.begun.set(touch, (this.begun.get(touch) ?? 0) + 1);
  }

  #pointAt(point: string, touch: string, kinds: readonly Kind[]): Point | null {
    const known = this.#points.get(point);
    if (known !== undefined) return known;
    const passes = PASSES_PER_WORLD[touchFamily(touch)];
    const those = kinds.filter(
      (kind) => KIND_RULES[kind].canCome(touch) && !(isSaid(touch) && isAnswer(kind) && kinds !== BY_SENDER),
    );
    if (those.includes('reorder'))
      those.push(...Array<Kind>(HARDLY_OVERTAKEN.get(touch) ?? 0).fill('reorder'));
    const rate = this.#rateAt(touch, passes);
    const found = rate > 0 && those.length > 0 ? { touch, kinds: those, rate } : null;
    this.#points.set(point, found);
    return found;
  }

  /** How likely each kind is there. */
  #rateAt(touch: string, passes: number | undefined): number {
    if (passes === undefined) return 0;
    if (this.#aim === touchFamily(touch)) return AIMED_RATE;
    return Math.min(RATE_MAX, AIM_PER_WORLD / passes) * this.#scale;
  }

  #drawn(point: Point | null): Kind | null {
    if (!point || this.#isHealed || this.#strikes >= STRIKES_MAX) return null;
    const roll = this.#chance.next() / point.rate;
    const kind = roll < point.kinds.length ? point.kinds[Math.floor(roll)] : undefined;
    if (kind === undefined) return null;
    this.#strikes += 1;
    return kind;
  }

  #coming(kind: Kind, touch: string, hands: Hands): Coming | null {
    const chance = this.#chance;
    if (kind === 'disk full') hands.fillDisk();
    if (kind === 'clock jump') hands.jumpClock();
    if (kind === 'crash before' || kind === 'crash after') return { ms: 0, act: () => hands.kill() };
    if (kind === 'error' || kind === 'answer lost')
      return {
        ms: 0,
        act: () => {
          throw troubleOf(touch);
        },
      };
    if (kind === 'delay') return { ms: this.#delayMs(), act: () => undefined };
    if (kind === 'reorder') return this.#overtaken(touch, hands);
    if (kind === 'answer late')
      return { ms: chance.betweenLog(LATE_LEAST_MS, LATE_MOST_MS), act: () => undefined };
    return null;
  }

  readonly #delayMs = (): number => this.#chance.betweenLog(DELAY_LEAST_MS, DELAY_MOST_MS);

  /** What was to come after it comes before it. */
  #overtaken(touch: string, hands: Hands): Coming {
    const before = this.#begunCount;
    hands.interrupt();
    return {
      ms: this.#chance.betweenLog(OVERTAKEN_LEAST_MS, DELAY_MOST_MS),
      act: () => {
        if (this.#begunCount > before) this.strike(touch, 'reorder');
      },
    };
  }
}

const isSaid = (touch: string): boolean => touch.startsWith('say.');
const isAnswer = (kind: Kind): boolean => BY_SENDER.some((answer) => answer === kind);

/** The operator may call the launcher's programs as he likes. */
export const touchFamily = (touch: string): string =>
  touch.startsWith('run.') && !/^run\.(qemu-img-.*|cp|sync)$/.test(touch) ? 'run.LAUNCHER' : touch;

const sides = new Map<string, readonly [Side, string]>();

/** A point's side, and the touch beside which it stands: the reverse of `pointBeside`. There are few, and each comes often. */
export function sideOf(point: string): readonly [Side, string] {
  const known = sides.get(point);
  if (known) return known;
  const read = readSide(point);
  sides.set(point, read);
  return read;
}

function readSide(point: string): [Side, string] {
  const [, room = '', side = '', rest = ''] = /^(.*\.|)(before|after)-(.*)$/.exec(point) ?? [];
  const known: Side = side === 'after' ? 'after' : 'before';
  const touch = room + rest;
  if (pointBeside(known, touch) !== point) throw new Error(`${point} is no fault point`);
  return [known, touch];
}

/** What the world throws when a touch fails. */
function troubleOf(touch: string): Error {
  const words = `EIO: i/o error, ${touch}`;
  if (touch === 'connect' || touch === 'streams.send') return new ConnectTrouble('other', '', words);
  if (touch.startsWith('files.') || touch.startsWith('streams.')) return new FileTrouble('EIO', '', words);
  if (touch.startsWith('store.')) return new StoreTrouble('unavailable', words);
  return new Error(words);
}
