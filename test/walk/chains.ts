/* Which file of a disk stands on which, and what a merge does to them: the rules once more, without the ledger's. */

/** A file under a disk. Two are the same when they are the same object. */
export interface Layer {
  /** It came with the machine, so that it is never unlinked. */
  readonly isGiven: boolean;
  /** Whether its format can hold snapshots inside. */
  readonly canHold: boolean;
  backing: Layer | null;
}

/** The layer and all below it, top first. */
export function chainOf(top: Layer | null): Layer[] {
  return top === null ? [] : [top, ...chainOf(top.backing)];
}

/** What wants to go on being read from a disk's layers. */
export interface Wanted {
  /** What the machine writes on, and what holds the content of snapshots that live on. */
  readonly layers: ReadonlySet<Layer>;
  /** Those of them with a snapshot inside, which reads through what lies below. */
  readonly inhabited: ReadonlySet<Layer>;
  /** Those of them that copies of the caller stand on: they stay where they are, and as they are. */
  readonly read: ReadonlySet<Layer>;
}

/** The content of the layers right below goes into this one. Whatever lives inside it loses what it read there. */
export interface Pull {
  readonly into: Layer;
  readonly onto: Layer | null;
}

/** The layer, and those below down to the image that came with the machine, go into that image. */
export interface Push {
  readonly from: Layer;
  readonly into: Layer;
}

/** What it takes to get rid of those layers that `mayMelt` and that nobody wants. */
export function melting(
  given: Layer,
  wanted: Wanted,
  mayMelt: (layer: Layer) => boolean,
): { pulls: Pull[]; pushes: Push[] } {
  const melts = (layer: Layer): boolean => mayMelt(layer) && !wanted.layers.has(layer);
  const needed = new Set([...wanted.layers, given].flatMap(chainOf));
  const staying = [...needed].filter((layer) => layer.isGiven || !melts(layer));
  const stands = staying.map((above) => {
    const below = chainOf(above.backing);
    const base = below.find((layer) => layer.isGiven || !melts(layer)) ?? null;
    return { above, base, isChanged: above.backing !== base };
  });
  const pulls: Pull[] = [];
  const pushes: Push[] = [];
  for (const { above, base, isChanged } of stands) {
    const isAlone = stands.filter((other) => other.base === base).length === 1;
    const canMove = !above.isGiven && !wanted.inhabited.has(above) && !wanted.read.has(above);
    if (base && melts(base) && isAlone && canMove) pushes.push({ from: above, into: base });
    else if (isChanged) pulls.push({ into: above, onto: base });
  }
  return { pulls, pushes };
}
