import { posix } from 'node:path';
import { type OpenOperation, Refusal, type Report, type Snapshot } from '#ledger';
import { creating } from './create/create.ts';
import { deleting } from './delete/delete.ts';
import type { Errand, Way } from './errand.ts';
import { pass } from './fault-points.ts';
import type { Start } from './journal.ts';
import { presentDisks } from './look/known-disks.ts';
import { loading } from './load/load.ts';
import { NotNow } from './not-now.ts';
import { observe } from './look/observe.ts';
import { requireAsPlanned } from './plan/plan-basis.ts';
import { failed } from './report.ts';
import type { Sight } from './look/sight.ts';
import { stopAstray, type StoppedAstray } from './drift/survey.ts';
import { troubleFrom, troubleIn } from './trouble.ts';

/**
 * Looks, acts, looks: the same for the first try, for a retry and for somebody else's half-done work. Before the
 * first byte that can change anything the intent and its undo are durable, and afterwards only what the disks show
 * ends the operation.
 *
 * @throws {NotNow} when nothing can be decided yet
 */
export async function carryOut(errand: Errand, operation: OpenOperation): Promise<Report> {
  const way = wayOf(errand, operation);
  const { started } = operation;
  if (started) return toTheEnd(() => recovered(errand, way, started));
  const begun = await begin(errand, way, operation);
  if ('report' in begun) return begun.report;
  return toTheEnd(async () => {
    const [report] = await Promise.all([way.act(begun.start, begun.sight), beginTranscript(errand)]);
    return report;
  });
}

/** Its file is made while QEMU works, as soon as that has been told what to do: making it costs as much as a look. */
async function beginTranscript({ place, transcript }: Errand): Promise<void> {
  await place.world.turn();
  await transcript.flush();
}

/** Whoever died may have unlinked what is found gone now, or given a name that is found, and not lived to keep that. */
async function recovered({ place: { world } }: Errand, way: Way, start: Start): Promise<Report> {
  const report = await way.recover(start);
  const { overlays = [], memoryFile, backups = [], unlinks = [] } = start;
  const made = [...overlays, ...(memoryFile ? [memoryFile] : [])].map(({ file }) => file);
  const directories = [...made, ...backups.map(({ target }) => target), ...unlinks].map(posix.dirname);
  for (const directory of new Set(directories)) {
    if ((await world.files.stat(directory)) === null) continue; // Nothing comes back with it.
    const trouble = await troubleIn(() => world.files.syncDirectory(directory));
    if (trouble) throw new NotNow('host-unreachable', trouble.words);
  }
  return report;
}

/** What carries out an operation of this kind. */
export function wayOf(errand: Errand, operation: OpenOperation): Way {
  switch (operation.kind) {
    case 'create':
      return creating(errand, operation, snapshotOf(errand, operation.snapshotId));
    case 'load':
      return loading(errand, operation, snapshotOf(errand, operation.snapshotId));
    case 'delete':
      return deleting(errand, operation);
  }
}

function snapshotOf({ vm }: Errand, id: string): Readonly<Snapshot> {
  const snapshot = vm.snapshots.get(id);
  if (!snapshot) throw new Error(`an operation is open on snapshot ${id}, which does not exist`);
  return snapshot;
}

type Begun = { readonly start: Start; readonly sight: Sight } | { readonly report: Report };

/** Whoever cannot make the intent durable has not touched anything, and does not. */
async function begin(errand: Errand, way: Way, operation: OpenOperation): Promise<Begun> {
  const admitted = await admission(errand, way, operation);
  if ('report' in admitted) return admitted;
  const { world } = errand.place;
  await pass(world, 'hypervisor.before-begin');
  await errand.journal.begin(admitted.start);
  await pass(world, 'hypervisor.after-begin');
  return admitted;
}

async function admission(errand: Errand, way: Way, operation: OpenOperation): Promise<Begun> {
  try {
    const sight = await firstSight(errand);
    if (
      operation.kind === 'create' &&
      sight.power === 'off' &&
      errand.memory.metAlive.has(errand.operationId)
    ) {
      return { report: await machineGone(errand) };
    }
    const wrong = await stopAstray(errand.place, errand.vm, sight);
    if (wrong) return { report: await failedAstray(errand, wrong) };
    const record = presentDisks(errand, sight);
    const start = await orNotNow(() => way.admit(sight));
    requireAsPlanned(sight, start, operation);
    await record();
    return { start, sight };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { report: await failed(errand, { reason: error.code, message: error.message, leftovers: [] }) };
  }
}

/** Nothing is done to a machine on a wrong chain: it must be started anew. */
async function failedAstray(errand: Errand, { message, astray }: StoppedAstray): Promise<Report> {
  const report = await failed(errand, { reason: 'vm-held', message, leftovers: [] });
  return { ...report, astray };
}

/** The first look, remembering a machine that lives but does not answer. */
async function firstSight(errand: Errand): Promise<Sight> {
  try {
    return await orNotNow(async () => observe(errand, 'listed', await errand.foreseen()));
  } catch (error) {
    if (error instanceof NotNow && error.cause !== undefined) errand.memory.metAlive.add(errand.operationId);
    throw error;
  }
}

/** What was asked of a living machine is never taken from a dead one. */
const machineGone = (errand: Errand): Promise<Report> =>
  failed(errand, { reason: 'machine-gone', message: 'QEMU died before the capture began', leftovers: [] });

/** What has begun cannot be refused any more: whatever stands in the way, the next look may find it gone. */
async function toTheEnd(work: () => Promise<Report>): Promise<Report> {
  try {
    return await orNotNow(work);
  } catch (error) {
    if (error instanceof Refusal) throw new NotNow(error.code, error.message, undefined, { cause: error });
    throw error;
  }
}

/** A connection lost where nobody waited for it decides nothing. */
export async function orNotNow<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const trouble = troubleFrom(error);
    if (trouble?.kind !== 'unknown') throw error;
    throw new NotNow('host-unreachable', trouble.words, undefined, { cause: error });
  }
}
