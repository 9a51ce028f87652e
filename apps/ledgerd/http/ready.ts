import { Refusal } from '#ledger';
import { requireReached } from './freshness.ts';
import type { House } from './house.ts';

/**
 * A command is accepted when its outcome can be shown: the log can be understood, and the views follow it.
 *
 * @throws {Refusal} `log-newer` `view-behind`
 */
export function requireFollowing({ views }: House): void {
  switch (views.state()) {
    case 'log-newer':
      throw new Refusal('log-newer', 'the log holds events of a newer program: this one accepts nothing');
    case 'rebuilding':
      throw new Refusal('view-behind', 'the views are being built from the log');
    case 'stopped':
      throw new Refusal('view-behind', 'the views do not follow the log any more');
    case 'following':
  }
}

/**
 * Returns when a command would be accepted now and carried out: beside the above, nobody lags behind, and the worker
 * has found what it has to do.
 *
 * @throws {Refusal} `log-newer` `view-behind` `store-unavailable` `host-unreachable`
 */
export async function requireReady(house: House): Promise<void> {
  const { store, worker, stopping } = house;
  if (stopping.aborted) throw new Refusal('store-unavailable', 'the daemon is stopping');
  requireFollowing(house);
  await requireReached(house, await store.head());
  if (!worker.isReady())
    throw new Refusal('host-unreachable', 'the worker is still looking for open operations');
}
