import { z } from 'zod';
import { Refusal } from '#ledger';
import { NONE } from '../moments.ts';
import type { CurrentView, LineageNode, LineageView, SnapshotView } from '../shapes.ts';
import { ROOTS } from '../write/roll.ts';
import type { Members } from './members.ts';
import { cursorOf, moreAt, type More, type Page, sizeOf } from './page.ts';
import type { Place, Places } from './places.ts';
import type { Snapshots } from './snapshots.ts';
import { type Tree, Walk, walkFrom, WalkState } from './walk.ts';

export interface LineageQuery extends Page {
  /** Only this snapshot and what descends from it. */
  readonly root?: string;
  /** Levels below the root; 0: the root alone. */
  readonly depth?: number;
  readonly asOf?: number;
}

/** What shows of a VM is looked up through these. */
export interface Shelves {
  readonly places: Places;
  readonly members: Members;
  readonly snapshots: Snapshots;
}

/** The walk goes on in the tree that its first page was of. */
const LineageCursor = z.object({ version: z.int().nonnegative(), position: z.string(), walk: WalkState });
const AncestorsCursor = z.object({ version: z.int().nonnegative(), next: z.int().positive() });

/** Shows trees, and paths in them. */
export class Lineages {
  readonly #shelves: Shelves;

  constructor(shelves: Shelves) {
    this.#shelves = shelves;
  }

  current(place: Place): CurrentView {
    const { current, confidence } = place.moment;
    return { snapshotId: this.#shelves.snapshots.idOf(place, current), confidence };
  }

  /** @throws {Refusal} `vm-unknown`, `snapshot-unknown`, `invalid-query` */
  tree(vmId: string, query: LineageQuery, position: string): LineageView {
    const { root = null, depth = null, asOf = null } = query;
    const about = ['lineage', vmId, root, depth, asOf];
    const cursor = cursorOf(query, about, LineageCursor);
    const place = this.#shelves.places.require(vmId, cursor ?? (asOf === null ? {} : { asOf }));
    const at = cursor?.position ?? position;
    const walk = this.#walk(place, query, cursor?.walk ?? null);
    const nodes = walk.page().map(({ number, depth }) => this.#node(place, number, depth));
    const next = walk.state();
    const more = moreAt(about, next && { version: place.version, position: at, walk: next });
    return { vmId, position: at, current: this.current(place), nodes, ...more };
  }

  #walk(place: Place, query: LineageQuery, from: WalkState | null): Walk {
    const { root = null, depth = Number.POSITIVE_INFINITY } = query;
    const number = root === null ? null : this.#require(place, root);
    const limits = { nodesMax: sizeOf(query), depthMax: depth, root: number };
    return new Walk(this.#treeAt(place), limits, from ?? this.#beginning(place, number));
  }

  /** The parent first, the root last. Throws the refusals `vm-unknown`, `snapshot-unknown`, `invalid-query`. */
  ancestors(vmId: string, id: string, query: Page): More & { readonly snapshots: readonly SnapshotView[] } {
    const about = ['ancestors', vmId, id];
    const cursor = cursorOf(query, about, AncestorsCursor);
    const { snapshots, places } = this.#shelves;
    const place = places.require(vmId, cursor ?? {});
    const path: SnapshotView[] = [];
    const pageSize = sizeOf(query);
    let next = cursor?.next ?? snapshots.parentOf(place, this.#require(place, id));
    while (next !== ROOTS && path.length < pageSize) {
      path.push(snapshots.show(place, next));
      next = snapshots.parentOf(place, next);
    }
    const more = moreAt(about, next === ROOTS ? null : { version: place.version, next });
    return { snapshots: path, ...more };
  }

  #require(place: Place, id: string): number {
    const number = this.#shelves.snapshots.find(place, id);
    if (number === null) throw new Refusal('snapshot-unknown', `there is no snapshot ${id}`);
    return number;
  }

  /** Where a walk begins; null when nothing stands there. A root that is gone by then has no tree. */
  #beginning(place: Place, root: number | null): WalkState | null {
    const { members, snapshots } = this.#shelves;
    const list = root === null ? ROOTS : snapshots.parentOf(place, root);
    const [first] = members.after(place, list, root === null ? NONE : root - 1, 1);
    return first === undefined || (root !== null && first !== root) ? null : walkFrom(first);
  }

  #treeAt(place: Place): Tree {
    const { members, snapshots } = this.#shelves;
    const parent = (number: number): number => snapshots.parentOf(place, number);
    return {
      parent,
      firstChild: (number) => members.after(place, number, NONE, 1)[0] ?? null,
      nextSibling: (number) => members.after(place, parent(number), number, 1)[0] ?? null,
    };
  }

  #node(place: Place, number: number, depth: number): LineageNode {
    const { members, snapshots } = this.#shelves;
    return { ...snapshots.show(place, number), depth, childCount: members.count(place, number) };
  }
}
