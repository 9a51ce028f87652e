import { z } from 'zod';

/** Siblings of ancestors that a walk keeps in its token. Those above are found again by climbing. */
const BRANCHES_MAX = 24;

/** Levels that are climbed for one page. When it takes more, the page ends early and the next one climbs on. */
const CLIMBS_PER_PAGE_MAX = 4_096;

/** A tree whose siblings stand in the order of their numbers. */
export interface Tree {
  /** Null for a leaf. */
  firstChild(number: number): number | null;
  /** Null for the last of its parent's children, and for the last root. */
  nextSibling(number: number): number | null;
  parent(number: number): number;
}

const Spot = z.tuple([z.int().nonnegative(), z.int().nonnegative()]);

/** Where a walk is. Numbers are nodes and levels, so that a token is short. */
export const WalkState = z.object({
  /** A node and its level. */
  at: Spot,
  /** Whether the node was shown and all below it: then its successor is looked for. */
  isDone: z.boolean(),
  /** Where to go on when the present subtree ends, nearest last. */
  branches: z.array(Spot).max(BRANCHES_MAX),
  /** Whether `branches` are all there are. */
  isAll: z.boolean(),
});
export type WalkState = z.infer<typeof WalkState>;
type Spot = z.infer<typeof Spot>;

export interface WalkedNode {
  readonly number: number;
  readonly depth: number;
}

/** A walk that begins at a node. Its siblings belong to the walk unless the node is the only root asked for. */
export const walkFrom = (number: number): WalkState => ({
  at: [number, 0],
  isDone: false,
  branches: [],
  isAll: true,
});

export interface WalkLimits {
  readonly nodesMax: number;
  /** Levels below a root; infinite when nobody said. */
  readonly depthMax: number;
  /** The only root, whose siblings are not walked; null: all roots are. */
  readonly root: number | null;
}

/**
 * Goes on in pre-order until enough nodes are found. Every step looks at one node and its neighbours, so a page
 * costs a page, whatever the tree's shape: down a chain of 100,000, along 100,000 siblings, and up again.
 */
export class Walk {
  readonly #tree: Tree;
  readonly #limits: WalkLimits;
  #state: WalkState | null;
  #climbs = 0;

  /** `state`: null when there is nothing to walk. */
  constructor(tree: Tree, limits: WalkLimits, state: WalkState | null) {
    this.#tree = tree;
    this.#limits = limits;
    this.#state = state;
  }

  /** Where the next page begins; null after the last node. */
  state(): WalkState | null {
    return this.#state;
  }

  page(): readonly WalkedNode[] {
    const nodes: WalkedNode[] = [];
    while (this.#state && nodes.length < this.#limits.nodesMax && this.#climbs < CLIMBS_PER_PAGE_MAX) {
      const { at, isDone } = this.#state;
      if (isDone) {
        this.#state = this.#after(this.#state);
      } else {
        nodes.push({ number: at[0], depth: at[1] });
        this.#state = this.#below(this.#state);
      }
    }
    // A page that is full ends where the next begins: at a node, or nowhere.
    while (this.#state?.isDone && this.#climbs < CLIMBS_PER_PAGE_MAX) this.#state = this.#after(this.#state);
    return nodes;
  }

  /** To the first child; a leaf is done. */
  #below(state: WalkState): WalkState {
    const [number, depth] = state.at;
    const child = depth < this.#limits.depthMax ? this.#tree.firstChild(number) : null;
    if (child === null) return { ...state, isDone: true };
    const sibling = this.#sibling(state.at);
    const kept = sibling ? this.#branched(state, sibling) : state;
    return { ...kept, at: [child, depth + 1], isDone: false };
  }

  #branched({ branches, ...state }: WalkState, sibling: Spot): WalkState {
    const isFull = branches.length === BRANCHES_MAX;
    return {
      ...state,
      branches: [...(isFull ? branches.slice(1) : branches), sibling],
      isAll: state.isAll && !isFull,
    };
  }

  /** From a node that is done to its sibling, else to that of its nearest ancestor; null when there is none. */
  #after(state: WalkState): WalkState | null {
    const sibling = this.#sibling(state.at);
    if (sibling) return { ...state, at: sibling, isDone: false };
    const branch = state.branches.at(-1);
    if (branch) return { ...state, at: branch, isDone: false, branches: state.branches.slice(0, -1) };
    const [number, depth] = state.at;
    if (state.isAll || depth === 0) return null;
    this.#climbs += 1;
    return { ...state, at: [this.#tree.parent(number), depth - 1] };
  }

  #sibling([number, depth]: Spot): Spot | null {
    if (number === this.#limits.root) return null;
    const sibling = this.#tree.nextSibling(number);
    return sibling === null ? null : [sibling, depth];
  }
}
