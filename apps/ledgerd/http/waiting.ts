import { Refusal } from '#ledger';
import type { House } from './house.ts';

/** Nobody waits longer in one request, whatever they ask for: they ask again. */
export const WAIT_MS_MAX = 60_000;

const DURATION = /^(\d{1,9})(ms|s|m)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/**
 * How long a text such as `30s` or `500ms` asks us to wait.
 *
 * @throws {Refusal} `invalid-query`
 */
export function waitedMs(text: string): number {
  const [, count, unit] = DURATION.exec(text) ?? [];
  const unitMs = UNIT_MS[unit ?? ''];
  if (count === undefined || unitMs === undefined)
    throw new Refusal('invalid-query', `wait must be a time such as 30s, 500ms or 1m, not "${text}"`);
  return Math.min(Number(count) * unitMs, WAIT_MS_MAX);
}

/** Returns when the operation has ended, the time is over, or nobody waits any more. */
export async function whenDone(
  { views, world, stopping }: House,
  operationId: string,
  { waitMs, gone }: { readonly waitMs: number; readonly gone: AbortSignal },
): Promise<void> {
  const over = new AbortController();
  void world.clock.sleep(waitMs, AbortSignal.any([over.signal, gone, stopping])).then(() => over.abort());
  while (!over.signal.aborted) {
    const operation = views.operation(operationId);
    if (!operation || operation.done) break;
    await views.changed(over.signal);
  }
  over.abort('done');
}
