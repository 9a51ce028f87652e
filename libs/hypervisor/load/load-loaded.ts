import type { CommandOf, FailureCode, Report } from '#ledger';
import { stopAstray } from '../drift/survey.ts';
import type { Errand } from '../errand.ts';
import { brokenPins, goneAlready, reportLoaded } from './clear-away.ts';
import type { Loading } from './load-loading.ts';
import { layersOf, topsOf } from './load-tops.ts';
import { NotNow } from '../not-now.ts';
import { observeTrouble, powerStill } from '../look/observe.ts';
import { setRunning } from '../qemu/power.ts';
import { held } from '../report.ts';
import type { Power, Sight } from '../look/sight.ts';

/*
 * All is in place, and the log says so before anything may run on it. From then on a load is never done again, for that
 * would throw away what the guest wrote since; and without it one that runs is never taken for loaded, for anybody may
 * let a machine run.
 */

/** All is in place, on a machine that stands still or is off. Durable when it resolves. */
export async function recordLoaded({ journal, operationId }: Errand, { start }: Loading): Promise<void> {
  const layers = layersOf(topsOf(start));
  await journal.loaded({ operationId, ...(layers && { layers }) });
}

/** That is recorded: the machine goes on as was wished, if it can. Whether it runs is what a look says. */
export async function goOnLoaded(errand: Errand, loading: Loading, now: Power): Promise<Report> {
  const power = await setRunning(errand, now, loading.wish.goesOn);
  if (power === 'off') return restLoaded(errand, loading);
  return reportLoaded(errand, loading, power === 'running');
}

/** That is recorded, by somebody who died before he could report it, or the machine has died since. */
export async function restLoaded(
  errand: Errand,
  loading: Loading,
  start: ((loading: Loading) => Promise<Report>) | null = null,
): Promise<Report> {
  const sight = await observeTrouble(errand, loading.start, 'always');
  if (errand.damage.length > 0)
    return heldLoaded(errand, loading, sight, [
      'snapshot-damaged',
      'all was loaded, but an image could not be repaired',
    ]);
  if (sight.power === 'off') return start ? start(loading) : reportLoaded(errand, loading, false);
  // Another QEMU by now, and what it should stand on is told by the log that we have not read since.
  if (!loading.operation.isLoaded)
    throw new NotNow('machine-gone', 'all was loaded, and QEMU was started anew');
  const wrong = await stopAstray(errand.place, errand.vm, sight);
  if (!wrong) return goOnLoaded(errand, loading, await powerStill(errand));
  const why = `all was loaded, and then ${wrong.message}`;
  return { ...(await heldLoaded(errand, loading, sight, ['vm-held', why])), astray: wrong.astray };
}

async function heldLoaded(
  errand: Errand,
  loading: Loading,
  sight: Sight,
  [reason, message]: [FailureCode, string],
): Promise<CommandOf<'ReportFailed'>> {
  const { replaced, orphans } = await brokenPins(errand, loading, sight);
  return {
    ...(await held(errand, reason, message, { layers: await goneAlready(errand, loading.start) })),
    replaced: replaced.map(({ id }) => id),
    orphans,
  };
}
