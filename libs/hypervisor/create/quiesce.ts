import { type CapturePlan, type Quiesced, Refusal } from '#ledger';
import { FREEZE_TIMEOUT_MS, THAW_ATTEMPTS_MAX, THAW_TIMEOUT_MS } from '../bounds.ts';
import type { Errand, OperationOf } from '../errand.ts';
import { pass } from '../fault-points.ts';
import { type AgentAt, AgentTrouble, areFrozen, countOfAsked } from '../qemu/guest-agent.ts';
import type { Start } from '../journal.ts';
import type { Sight } from '../look/sight.ts';
import { Thwarted, troubleIn } from '../trouble.ts';

/*
 * The guest's file systems are frozen for the instant of the capture and no longer. A guest that stays frozen hangs,
 * so the intent is durable before the first freeze, and whoever comes after us thaws before anything else.
 */

type Planned = NonNullable<Start['quiesce']>;

/**
 * Who freezes the guest, or why nobody does. Asks the agent how things are and changes nothing.
 *
 * @throws {Refusal} `no-guest-agent` when the freeze is required and cannot be had
 */
export async function planQuiesce(
  errand: Errand,
  { quiesce: asked = 'none' }: OperationOf<'create'>['request'],
  { memory }: CapturePlan,
  { power }: Sight,
): Promise<Planned | undefined> {
  if (asked === 'none') return undefined;
  if (power === 'off') return { asked, agent: null, why: 'the machine is off: nobody writes' };
  if (memory !== 'none') return { asked, agent: null, why: 'the memory is captured with the disks' };
  const agent = errand.vm.guestAgent ?? '';
  const why =
    power === 'paused' ? 'the machine stands still: nobody in it can freeze' : await whyNot(errand, agent);
  if (why === null) return { asked, agent };
  if (asked === 'require') throw new Refusal('no-guest-agent', why);
  return { asked, agent: null, why };
}

/** What somebody else has frozen is not ours to thaw. */
async function whyNot(errand: Errand, agent: string): Promise<string | null> {
  if (agent === '') return 'the VM has no guest agent';
  try {
    const isFrozen = await areFrozen(agentAt(errand, agent));
    return isFrozen ? 'the file systems of the guest are frozen already, by somebody else' : null;
  } catch (error) {
    if (error instanceof AgentTrouble) return error.message;
    throw error;
  }
}

const agentAt = ({ place: { world, monitorRoots: roots } }: Errand, path: string): AgentAt => ({
  world,
  roots,
  path,
});

/**
 * Does the work while the guest is frozen, and thaws it however the work ends. Throws what the work throws, and
 * `Thwarted` when the freeze was required and did not hold.
 */
export async function whileFrozen<T>(errand: Errand, start: Start, work: () => Promise<T>): Promise<T> {
  const { quiesce } = start;
  if (!quiesce?.agent) return work();
  const at = agentAt(errand, quiesce.agent);
  const frozen = await freeze(errand, at);
  if ('why' in frozen) {
    keep(errand, await givenUp(errand, quiesce, at, frozen.why));
    return work();
  }
  let result: T;
  try {
    result = await work();
  } finally {
    const thawed = await thaw(errand, at);
    keep(errand, held(quiesce, frozen.count, thawed));
  }
  requireHeld(errand, quiesce);
  return result;
}

const keep = ({ memory, operationId }: Errand, quiesced: Quiesced): void =>
  void memory.quiesced.set(operationId, quiesced);

async function freeze(errand: Errand, at: AgentAt): Promise<{ count: number } | { why: string }> {
  let count = 0;
  await pass(errand.place.world, 'hypervisor.before-freeze');
  const trouble = await troubleIn(() =>
    errand.steps.take('freeze the file systems of the guest', null, async () => {
      count = await countOfAsked(at, 'guest-fsfreeze-freeze', FREEZE_TIMEOUT_MS);
    }),
  );
  await pass(errand.place.world, 'hypervisor.after-freeze');
  if (trouble) return { why: trouble.words };
  return count > 0 ? { count } : { why: 'the guest agent found no file system to freeze' };
}

/** A freeze that was refused, or not answered, may have been done all the same, in part or a little later. */
async function givenUp(errand: Errand, { asked }: Planned, at: AgentAt, why: string): Promise<Quiesced> {
  const thawed = await thaw(errand, at);
  const words = 'why' in thawed ? `${why}; ${thawed.why}` : why;
  if (asked === 'require') throw new Thwarted('no-guest-agent', words);
  return { asked, achieved: 'none', why: words };
}

/** What one thaw found frozen, or why nobody knows. */
type Thawed = { readonly count: number } | { readonly why: string };

async function thaw(errand: Errand, at: AgentAt): Promise<Thawed> {
  const { memory, operationId } = errand;
  const { world } = errand.place;
  await pass(world, 'hypervisor.before-thaw');
  let words = '';
  for (let attempt = 1; attempt <= THAW_ATTEMPTS_MAX; attempt += 1) {
    let count = 0;
    const trouble = await troubleIn(() =>
      errand.steps.take('thaw the file systems of the guest', null, async () => {
        count = await countOfAsked(at, 'guest-fsfreeze-thaw', THAW_TIMEOUT_MS);
      }),
    );
    if (!trouble) {
      memory.frozen.delete(operationId);
      await pass(world, 'hypervisor.after-thaw');
      return { count };
    }
    words = trouble.words;
  }
  const why = `the file systems of the guest may still be frozen: ${words}`;
  memory.frozen.set(operationId, why);
  await pass(world, 'hypervisor.after-thaw');
  return { why };
}

/** Frozen until we thawed it: a guest may thaw by itself when it has waited for too long. */
function held({ asked }: Planned, filesystems: number, thawed: Thawed): Quiesced {
  if ('why' in thawed) return { asked, achieved: 'none', why: thawed.why };
  if (thawed.count > 0) return { asked, achieved: 'filesystem', filesystems };
  return { asked, achieved: 'none', why: 'nobody knows whether the guest stayed frozen until it was thawed' };
}

function requireHeld({ memory, operationId }: Errand, { asked }: Planned): void {
  const quiesced = memory.quiesced.get(operationId);
  if (asked !== 'require' || quiesced?.achieved === 'filesystem') return;
  throw new Thwarted('no-guest-agent', quiesced?.why ?? 'nobody knows whether the guest was frozen');
}

/**
 * Thaws a guest that somebody may have left frozen, or that would not be thawed before. One that still is was so at the
 * capture, if there was one. Harmless when nobody has, so that it may be done at every return.
 */
export async function thawAgain(errand: Errand, { quiesce }: Start): Promise<void> {
  const { memory, operationId } = errand;
  if (!quiesce?.agent) return;
  const at = agentAt(errand, quiesce.agent);
  if (memory.quiesced.has(operationId)) {
    if (memory.frozen.has(operationId)) await thaw(errand, at); // What it was at the capture is known.
    return;
  }
  const count = await countFrozen(at);
  const thawed = await thaw(errand, at);
  const { asked } = quiesce;
  if (count > 0 && !('why' in thawed)) return keep(errand, held(quiesce, thawed.count, thawed));
  const why =
    'why' in thawed ? thawed.why : 'the worker ended before it could tell whether the guest was frozen';
  keep(errand, { asked, achieved: 'none', why });
}

/** As far as anybody can tell: 1 or 0. */
async function countFrozen(at: AgentAt): Promise<number> {
  try {
    return (await areFrozen(at)) ? 1 : 0;
  } catch (error) {
    if (error instanceof AgentTrouble) return 0;
    throw error;
  }
}

/** What came of the wish to freeze; undefined when there was none. */
export function quiescedOf({ memory, operationId }: Errand, { quiesce }: Start): Quiesced | undefined {
  if (!quiesce) return undefined;
  const { asked, agent, why } = quiesce;
  const known = memory.quiesced.get(operationId);
  if (agent !== null && known) return known;
  return { asked, achieved: 'none', why: why ?? 'the worker ended before it could tell' };
}

/** What comes of it when nothing goes wrong. */
export const quiesceForeseen = ({ quiesce }: Start): Quiesced | undefined =>
  quiesce && { asked: quiesce.asked, achieved: quiesce.agent === null ? 'none' : 'filesystem' };

/** Whether the capture may count: what has to be frozen was. */
export const isQuietEnough = (errand: Errand, start: Start): boolean =>
  start.quiesce?.asked !== 'require' ||
  start.quiesce.agent === null ||
  quiescedOf(errand, start)?.achieved === 'filesystem';
