import { comparePositions, isPosition } from '#event-store';
import { Refusal } from '#ledger';
import type { House } from './house.ts';
import type { HttpHeaders } from './wire.ts';

/** How long a reader waits for what was already acknowledged to somebody. */
const FRESH_WITHIN_MS = 1_000;

const MIN_POSITION_HEADER = 'snapledger-min-position';

/**
 * Returns when the views show everything that this process has acknowledged, and what the caller has seen before.
 *
 * @throws {Refusal} `view-behind` when that takes too long, `invalid-query` for what is no position
 */
export async function requireFresh(house: House, headers: HttpHeaders): Promise<void> {
  const demanded = headers[MIN_POSITION_HEADER];
  if (demanded !== undefined && (typeof demanded !== 'string' || !isPosition(demanded)))
    throw new Refusal('invalid-query', 'Snapledger-Min-Position is not a position');
  const { vms, registry } = house.ledgers;
  await requireReached(house, later(demanded ?? null, later(vms.acknowledged(), registry.acknowledged())));
}

/** @throws {Refusal} `view-behind` */
export async function requireReached(house: House, position: string | null): Promise<void> {
  const { views } = house;
  if (position === null || isReached(views.position(), position)) return;
  if (views.state() === 'log-newer')
    throw new Refusal('log-newer', 'the log holds events of a newer program: this one cannot show them');
  if (await views.reached(position, FRESH_WITHIN_MS)) return;
  throw new Refusal('view-behind', `the views have not reached position ${position} yet`);
}

const isReached = (at: string | null, position: string): boolean =>
  at !== null && comparePositions(at, position) >= 0;

export function later(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return comparePositions(one, other) >= 0 ? one : other;
}
