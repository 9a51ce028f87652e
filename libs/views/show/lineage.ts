import { z } from 'zod';
import { Refusal } from '#ledger';
import type { CurrentView, LineageNode, LineageView, SnapshotView } from '../shapes.ts';
import { ROOTS } from '../write/roll.ts';
import type { Members } from './members.ts';
import { type About, cursorOf, moreAt, type More, type Page, sizeOf } from './page.ts';
import type { Place, Places } from './places.ts';
import type { Snapshots } from './snapshots.ts';
import { ShownTree } from './tree.ts';
import { Walk, type WalkedNode, walkFrom, WalkState } from './walk.ts';

export interface LineageQuery extends Page {
  /** Only this snapshot and what descends from it. */
  readonly root?: string;
  /** Levels below the root; 0: the root alone. */
  readonly depth?: number;
  /** Also safety pins. */
  readonly implicit?: boolean;
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
    const about = aboutTree(vmId, query);
    const cursor = cursorOf(query, about, LineageCursor);
    const { asOf, root, depth = Infinity, implicit = false } = query;
    const place = this.#shelves.places.require(vmId, cursor ?? (asOf === undefined ? {} : { asOf }));
    const at = cursor?.position ?? position;
    const number = root === undefined ? null : this.#require(place, root);
    const tree = new ShownTree(this.#shelves, place, { implicit, root: number });
    const limits = { nodesMax: sizeOf(query), depthMax: depth, root: number };
    const walk = new Walk(tree, limits, cursor?.walk ?? this.#beginning(place, tree, number));
    const nodes = walk.page().map((node) => this.#node(place, tree, node));
    const next = walk.state();
    const more = moreAt(about, next && { version: place.version, position: at, walk: next });
    return { vmId, position: at, current: this.current(place), nodes, ...more };
  }

  #node(place: Place, tree: ShownTree, { number, depth }: WalkedNode): LineageNode {
    return { ...this.#shelves.snapshots.show(place, number), depth, childCount: tree.childCount(number) };
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
  #beginning(place: Place, tree: ShownTree, root: number | null): WalkState | null {
    const first = root === null ? tree.firstChild(ROOTS) : root;
    return first === null || (root !== null && !this.#isThere(place, root)) ? null : walkFrom(first);
  }

  #isThere(place: Place, number: number): boolean {
    const { members, snapshots } = this.#shelves;
    const [found] = members.after(place, snapshots.parentOf(place, number), number - 1, 1);
    return found === number;
  }
}

const aboutTree = (vmId: string, query: LineageQuery): About => {
  const { root = null, depth = null, implicit = false, asOf = null } = query;
  return ['lineage', vmId, root, depth, implicit, asOf];
};
