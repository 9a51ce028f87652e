import { NONE } from '../moments.ts';
import { PINS } from '../write/roll.ts';
import type { Members } from './members.ts';
import type { Place } from './places.ts';
import type { Snapshots } from './snapshots.ts';
import type { Tree } from './walk.ts';

/** What trees are looked up in. */
export interface TreeSources {
  readonly members: Members;
  readonly snapshots: Snapshots;
}

export interface TreeWish {
  /** Whether pins are shown. Else their children stand in their place. */
  readonly implicit: boolean;
  /** Is shown whatever it is; null: all roots are. */
  readonly root: number | null;
}

interface Pin {
  readonly number: number;
  readonly parent: number;
}

/** The tree at a place, as somebody wants to see it. There are hardly ever more than two pins in it. */
export class ShownTree implements Tree {
  readonly #sources: TreeSources;
  readonly #place: Place;
  readonly #pins: readonly Pin[];
  readonly #hidden: readonly Pin[];

  constructor(sources: TreeSources, place: Place, { implicit, root }: TreeWish) {
    const { members, snapshots } = sources;
    this.#sources = sources;
    this.#place = place;
    const numbers = members.after(place, PINS, NONE, members.count(place, PINS));
    this.#pins = numbers.map((number) => ({ number, parent: snapshots.parentOf(place, number) }));
    this.#hidden = implicit ? [] : this.#pins.filter(({ number }) => number !== root);
  }

  firstChild(number: number): number | null {
    return this.#next(number, NONE);
  }

  nextSibling(number: number): number | null {
    return this.#next(this.parent(number), number);
  }

  parent(number: number): number {
    const parent = this.#sources.snapshots.parentOf(this.#place, number);
    return this.#isHidden(parent) ? this.parent(parent) : parent;
  }

  /** How many children a snapshot has, without pins. */
  childCount(number: number): number {
    const lists = this.#listsOf(number);
    const count = lists.reduce((sum, list) => sum + this.#sources.members.count(this.#place, list), 0);
    return count - this.#pins.filter(({ parent }) => lists.includes(parent)).length;
  }

  /** The child after another one, in the order of their numbers. */
  #next(parent: number, after: number): number | null {
    const next = this.#listsOf(parent).flatMap((list) => this.#nextOn(list, after) ?? []);
    return next.length === 0 ? null : Math.min(...next);
  }

  #nextOn(list: number, after: number): number | null {
    const [next] = this.#sources.members.after(this.#place, list, after, 1);
    if (next === undefined) return null;
    return this.#isHidden(next) ? this.#nextOn(list, next) : next;
  }

  /** Where the children of a snapshot stand: on its own list, and on those of the pins that are not shown below. */
  #listsOf(number: number): readonly number[] {
    const below = this.#hidden.filter(({ parent }) => parent === number);
    return [number, ...below.flatMap((pin) => this.#listsOf(pin.number))];
  }

  #isHidden(number: number): boolean {
    return this.#hidden.some((pin) => pin.number === number);
  }
}
