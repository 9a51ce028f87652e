import type { Book } from './book.ts';
import type { Fate, Fault, Luck } from './faults.ts';
import type { Coming, Hands } from './point-faults.ts';
import { PointFaults } from './point-faults.ts';
import type { Kind } from './point-kinds.ts';
import { Chance } from './chance.ts';
import type { Wish } from './wish.ts';

/** What a script asks for when its turn comes; null: there is nothing that it could be asked of. */
export type ScriptedCommand = (book: Book) => Wish | null;

/** A world in which one caller asks for a few things, and at most one thing goes wrong. */
export interface Script {
  readonly isOn: boolean;
  readonly commands: readonly ScriptedCommand[];
  readonly fate: ScriptedFate;
}

/** Who dies, and when: at the n-th pass of a point while a command is carried out. */
export interface Strike {
  readonly victim: 'ledgerd' | 'qemu';
  readonly command: number;
  readonly point: string;
  readonly nth: number;
}

/** Nothing goes wrong but one death. Remembers what was passed. */
export class ScriptedFate implements Fate, Luck {
  /** Which command is being carried out; null: none. */
  command: number | null = null;
  /** Whether the one thing has happened. */
  hasStruck = false;
  /** How often each point was passed, by command. */
  readonly passed: Map<string, number>[] = [];
  readonly happened: ReadonlyMap<Fault, number> = new Map<Fault, number>();
  readonly points = new PointFaults(new Chance(0));
  readonly #strike: Strike | null;

  constructor(strike: Strike | null) {
    this.#strike = strike;
  }

  happens(): boolean {
    return false;
  }

  answer(): Kind | null {
    return null;
  }

  heal(): void {
    this.command = null;
  }

  at(point: string, hands: () => Hands): Coming | null {
    this.points.passes(point);
    if (this.command === null) return null;
    const counts = (this.passed[this.command] ??= new Map<string, number>());
    const nth = (counts.get(point) ?? 0) + 1;
    counts.set(point, nth);
    const strike = this.#strike;
    const isNow = strike?.command === this.command && strike.point === point && strike.nth === nth;
    if (!strike || !isNow || this.hasStruck) return null;
    this.hasStruck = strike.victim === 'ledgerd' || hands().killQemu();
    return strike.victim === 'ledgerd' ? { ms: 0, act: hands().kill } : null;
  }
}
