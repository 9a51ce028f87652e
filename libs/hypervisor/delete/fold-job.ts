import { type BlockCommit, type BlockStream, isCanceled, type Monitor, parseJobs, QmpRefused } from '#qmp';
import { COPY_JOB_TIMEOUT_MS, FLUSH_TIMEOUT_MS, LOOK_TIMEOUT_MS } from '../bounds.ts';
import type { Errand } from '../errand.ts';
import { reach } from '../look/look.ts';
import { powerNow, powerStill } from '../look/observe.ts';
import { isJobOf } from '../qemu/own-jobs.ts';
import { setRunning } from '../qemu/power.ts';
import { readStopSign, signStop } from '../qemu/stop-sign.ts';
import { pass } from '../fault-points.ts';
import type { Power } from '../look/sight.ts';
import { Thwarted, troubleFrom, troubleIn } from '../trouble.ts';

/* QEMU copies between layers in jobs that may take hours, and that go on when we are gone. */

type FoldJob =
  | { readonly command: 'block-stream'; readonly args: BlockStream }
  | { readonly command: 'block-commit'; readonly args: BlockCommit };

/**
 * Runs one to its end, which comes while the machine stands still; afterwards the machine goes on as before. A commit
 * of what the machine writes on ends with it in the image below: `between` is what must be done before it goes on.
 *
 * Throws what QEMU refuses.
 */
export async function runFoldJob(
  errand: Errand,
  { command, args }: FoldJob,
  between: () => Promise<void> = async () => undefined,
): Promise<void> {
  const before = await powerNow(errand);
  const whenReady = () => standStill(errand, before);
  const whenDone = async (): Promise<void> => {
    await pass(errand.place.world, 'hypervisor.after-pivot');
    await between();
    await goOn(errand, before);
  };
  try {
    await errand.place.line.held.runJob(command, args, { ...optionsFor(errand), whenReady, whenDone });
  } catch (error) {
    if (troubleFrom(error)?.kind === 'refused') await goOn(errand, before); // What it stands on has not changed.
    if (error instanceof QmpRefused && isCanceled(error.description)) {
      throw new Thwarted('canceled', 'the copying was canceled');
    }
    throw error;
  }
}

async function goOn(errand: Errand, before: Power): Promise<void> {
  if (before === 'running') await setRunning(errand, await powerStill(errand), 'running');
}

/**
 * Waits for the jobs of an earlier try that QEMU still works on. How they ended a look tells, and the next try.
 * Throws as `look` does.
 */
export async function awaitFoldJobs(errand: Errand): Promise<void> {
  const monitor = await reach(errand.place);
  if (!monitor) return;
  if (await readStopSign(errand)) errand.memory.stopped.set(errand.operationId, true); // By whoever has died since.
  const jobs = parseJobs(await monitor.execute('query-jobs', {}, { timeoutMs: LOOK_TIMEOUT_MS }));
  const whenReady = async () => standStill(errand, await powerNow(errand));
  for (const { id, type, status } of jobs) {
    if (!isJobOf(errand.operationId, id) || !FOLDING.has(type)) continue;
    if (status === 'concluded') continue;
    const trouble = await troubleIn(() => monitor.awaitJob(id, { ...optionsFor(errand), whenReady }));
    if (trouble?.kind === 'unknown') return; // Whoever looks next finds it as it is.
  }
}

/** How QEMU calls the jobs that copy between layers. */
const FOLDING: ReadonlySet<string> = new Set(['stream', 'commit']);

/**
 * Tells QEMU to stop copying upwards, which takes nothing from anybody; how many jobs there were to tell. Of a copy
 * downwards the image below has a part already. Throws as `Monitor.execute` does.
 */
export async function cancelStreams(monitor: Pick<Monitor, 'execute'>, operationId: string): Promise<number> {
  const jobs = parseJobs(await monitor.execute('query-jobs', {}, { timeoutMs: LOOK_TIMEOUT_MS }));
  const streams = jobs.filter(
    ({ id, type, status }) => isJobOf(operationId, id) && type === 'stream' && status !== 'concluded',
  );
  for (const { id } of streams) {
    try {
      await monitor.execute('job-cancel', { id }, { timeoutMs: LOOK_TIMEOUT_MS });
    } catch (error) {
      if (!(error instanceof QmpRefused)) throw error; // It has ended meanwhile.
    }
  }
  return streams.length;
}

const optionsFor = (errand: Errand) => ({
  timeoutMs: COPY_JOB_TIMEOUT_MS,
  onProgress: (percent: number): void => errand.journal.progress({ phase: 'merging', percent }),
});

/**
 * QEMU writes all that it still holds when it is told to stop, also when it stands still already: a header must not
 * name another file before the copies are on disk. And what the guest wrote between this and the end would be in one
 * of two files, and only QEMU's memory would know in which.
 */
async function standStill(errand: Errand, before: Power): Promise<void> {
  const { place, steps } = errand;
  if (before === 'running') await signStop(errand);
  await pass(place.world, 'hypervisor.before-power');
  await steps.take('stop the machine', null, () =>
    place.line.held.execute('stop', {}, { timeoutMs: FLUSH_TIMEOUT_MS }),
  );
  await pass(place.world, 'hypervisor.before-pivot');
}
