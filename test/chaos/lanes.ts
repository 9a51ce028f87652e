/* Many deaths, several at a time, each on a machine of its own. */
import type { Recovery } from '../crash/daemon-process.ts';
import type { ChaosKind } from './kinds.ts';
import {
  closeStage,
  type Death,
  die,
  openStage,
  type Outcome,
  rehearse,
  type Rehearsed,
  type Stage,
} from './round.ts';

/** A log that grows for ever makes every look at it slower. */
const DEATHS_PER_STAGE = 60;
/** A point may be passed once less often than in the rehearsal. */
const ATTEMPTS_MAX = 3;

/** Runs every one of these by one of so many lanes. Each lane takes the next as soon as it has done one. */
async function inLanes<One, Done>(
  lanes: number,
  all: Iterable<One>,
  openLane: () => (one: One) => Promise<Done>,
): Promise<void> {
  const left = all[Symbol.iterator]();
  const lane = async (work: (one: One) => Promise<Done>): Promise<void> => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: lanes }, () => lane(openLane())));
}

/** What each kind of request passes when nobody dies, in the order of the kinds. */
export async function rehearseAll(
  kinds: readonly ChaosKind[],
  lanes: number,
): Promise<(readonly [ChaosKind, Rehearsed])[]> {
  const rehearsed = new Map<ChaosKind, Rehearsed>();
  await inLanes(lanes, kinds, () => async (kind) => {
    const stage = await openStage(kind.disksCount);
    rehearsed.set(kind, await rehearse(kind, stage));
    await closeStage(stage);
  });
  return kinds.flatMap((kind) => {
    const one = rehearsed.get(kind);
    return one ? [[kind, one] as const] : [];
  });
}

export interface Dying {
  readonly lanes: number;
  readonly recovery: Recovery;
  readonly onOutcome: (outcome: Outcome, index: number) => void;
}

/** Has all of them die. Nothing follows from what comes after something wrong: a machine that shows it is not used again. */
export async function dieAll(deaths: readonly Death[], { lanes, recovery, onOutcome }: Dying): Promise<void> {
  const stages = new Set<Stage>();
  await inLanes(lanes, deaths.entries(), () => {
    let open: { readonly stage: Stage; readonly kind: ChaosKind; deaths: number } | null = null;
    const close = async (): Promise<void> => {
      if (open) await closeStage(open.stage).then(() => open && stages.delete(open.stage));
      open = null;
    };
    return async ([index, death]) => {
      if (open && (open.kind !== death.kind || open.deaths >= DEATHS_PER_STAGE)) await close();
      open ??= { stage: await openStage(death.kind.disksCount, recovery), kind: death.kind, deaths: 0 };
      stages.add(open.stage);
      open.deaths += 1;
      const outcome = await dieAtLast(open.stage, death);
      onOutcome(outcome, index);
      if (outcome.wrong.length > 0) await close();
    };
  });
  for (const stage of stages) await closeStage(stage);
}

async function dieAtLast(stage: Stage, death: Death): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await die(stage, death);
    if (outcome.hasDied || outcome.wrong.length > 0 || attempt === ATTEMPTS_MAX) return outcome;
  }
}
