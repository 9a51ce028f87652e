import { Refusal } from '#ledger';
import { cancelBackups } from '../create/backup.ts';
import { asRefusal } from '../look/discover.ts';
import { cancelStreams } from '../delete/fold-job.ts';
import { reach } from '../look/look.ts';
import type { Place } from '../place.ts';
import { troubleFrom } from '../trouble.ts';

/**
 * Tells the jobs of an operation that may be broken off to end.
 *
 * @throws {Refusal} `not-cancelable`, `host-unreachable`
 */
export async function cancel(place: Place, operationId: string): Promise<void> {
  if ((await countCanceled(place, operationId)) > 0) return;
  throw new Refusal('not-cancelable', 'the operation has begun, and copies nothing that could be broken off');
}

async function countCanceled(place: Place, operationId: string): Promise<number> {
  try {
    const monitor = await reach(place);
    if (!monitor) return 0;
    return (await cancelBackups(monitor, operationId)) + (await cancelStreams(monitor, operationId));
  } catch (error) {
    const trouble = troubleFrom(error);
    throw trouble ? new Refusal('host-unreachable', trouble.words) : asRefusal(error);
  }
}
