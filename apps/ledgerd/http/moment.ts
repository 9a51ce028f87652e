import type { Moment } from '../metrics.ts';
import { later } from './freshness.ts';
import type { House } from './house.ts';
import { requireReady } from './ready.ts';
import type { Streams } from './streaming.ts';

/** A scrape waits no longer than this to find out how far the views are behind. */
const LAG_MS_MAX = 1_000;

/** What is so right now, for those who scrape. */
export async function momentOf(house: House, streams: Streams): Promise<Moment> {
  const { views, worker, heldCount } = house;
  return {
    openOperations: views.operations({ pageSize: 1, done: false }).totalSize,
    heldVms: heldCount(),
    overdueVms: worker.overdue().size,
    viewsLagMs: await lagMs(house),
    isReady: await isReady(house),
    watchers: streams.open,
  };
}

/** How long somebody who reads now waits for what is acknowledged already. */
async function lagMs({ views, ledgers, world }: House): Promise<number> {
  const position = later(ledgers.vms.acknowledged(), ledgers.registry.acknowledged());
  if (position === null) return 0;
  const startedAt = world.clock.monotonic();
  await views.reached(position, LAG_MS_MAX);
  return world.clock.monotonic() - startedAt;
}

const isReady = (house: House): Promise<boolean> =>
  requireReady(house).then(
    () => true,
    () => false, // Why is what `/health/ready` says.
  );
