/* A machine comes into trouble in the middle of a request: what is told meanwhile, and what has become of it afterwards? */
import { setTimeout } from 'node:timers/promises';
import { breaches, inWords, wrongWith } from '../chaos/verdict.ts';
import { ask, type ChaosKind } from '../chaos/kinds.ts';
import { cleared, endOf, newest } from '../chaos/round.ts';
import { forgotten, type Inquiry, inquire, whyBad } from './answers.ts';
import type { Cause } from './causes.ts';
import type { Place } from './held.ts';
import { pulse } from './neighbour.ts';
import { readied, type Scene } from './scene.ts';

/** From the end of its cause on until nothing is under way any more. */
export const RECOVERED_WITHIN_MS = 5_000;
/** Then it is given up. */
const RECOVERED_AT_LAST_MS = 90_000;
const POLL_MS = 50;
/** In which a request that was asked reaches a point on its way. */
const REACHED_WITHIN_MS = 10_000;

export interface Ordeal {
  readonly kind: string;
  readonly cause: string;
  readonly at: string;
  /** How long its neighbour waits for a snapshot meanwhile, as a multiple of before; null when it is in trouble too. */
  readonly neighbourTimes: number | null;
  /** What callers were told meanwhile, e.g. `503 host-unreachable`. */
  readonly answers: readonly string[];
  readonly ended: string;
  readonly recoveredMs: number;
  /** In words; empty when all is as it must be. */
  readonly wrong: readonly string[];
}

export interface Trial {
  readonly kind: ChaosKind;
  readonly cause: Cause;
  readonly place: Place;
  /** How long the cause lasts, at least. */
  readonly lastsMs: number;
}

/** The places that a request of this kind passes: each point the first and the last time that it is passed. */
export async function placesOf(kind: ChaosKind, scene: Scene): Promise<Place[]> {
  const { held, ailing } = scene;
  const before = await readied(scene, kind);
  const passed = await held.passedIn(async () => {
    await ask(kind, ailing, held.daemon, before);
    await held.daemon.quiet(ailing.vmId);
  });
  await cleared(ailing, held.daemon);
  const counts = Map.groupBy(passed, (point) => point);
  return [...counts].flatMap(([point, { length }]) =>
    [...new Set([1, length])].map((nth) => ({ point, nth })),
  );
}

/** One trouble, and what it leaves. Both machines are as they were before, and without snapshots. */
export async function endure(scene: Scene, { kind, cause, place, lastsMs }: Trial): Promise<Ordeal> {
  const { held, ailing, neighbour } = scene;
  const { daemon } = held;
  const before = await readied(scene, kind);
  const earlier = await newest(ailing, daemon);
  const calmMs = cause.isShared ? null : await pulse(neighbour, daemon);
  const wrong: string[] = [];
  const reached = held.hold(place);
  const asked = ask(kind, ailing, daemon, before);
  const isReached = await Promise.race([reached.then(() => true), setTimeout(REACHED_WITHIN_MS, false)]);
  const beganMs = performance.now();
  if (isReached) await cause.begin(ailing, daemon);
  held.go();
  const meanwhile = isReached ? await endureThat(scene, calmMs, wrong) : NOTHING;
  await setTimeout(Math.max(0, lastsMs - (performance.now() - beganMs)));
  if (isReached && !cause.isShared) wrong.push(...(await falselyDone(scene)));
  if (isReached) await cause.end(ailing, daemon);
  const recoveredMs = await recovered(scene, wrong);
  await asked;
  const ended = await endOf(ailing, daemon, { kind, earlier });
  const after = { kind, ended, hasQemuDied: isReached && cause.isDeadly };
  wrong.push(
    ...inWords(await wrongWith(ailing, daemon, after)),
    ...(await forgotten(daemon, meanwhile.answers)),
  );
  await cleared(ailing, daemon);
  await cleared(neighbour, daemon);
  const at = isReached ? `${place.point} ${place.nth}` : 'never reached';
  return {
    ...{ kind: kind.name, cause: cause.name, at, neighbourTimes: meanwhile.times },
    ...{ answers: meanwhile.answers.map(({ told }) => told), ended, recoveredMs, wrong },
  };
}

interface Meanwhile {
  readonly times: number | null;
  readonly answers: readonly Inquiry[];
}

const NOTHING: Meanwhile = { times: null, answers: [] };

/** What its neighbour and all who ask notice of it. */
async function endureThat(
  { held, ailing, neighbour }: Scene,
  calmMs: number | null,
  wrong: string[],
): Promise<Meanwhile> {
  const answering = inquire(held.daemon, ailing.vmId);
  let times: number | null = null;
  try {
    if (calmMs !== null) times = (await pulse(neighbour, held.daemon)) / calmMs;
  } catch (error) {
    wrong.push(`beside it: ${String(error)}`);
  }
  const answers = await answering;
  wrong.push(...answers.flatMap((answer) => whyBad(answer) ?? []));
  return { times, answers };
}

/** What is said to be done must be on the disks, while the machine that did it may still die. */
async function falselyDone({ held, ailing }: Scene): Promise<string[]> {
  const { operationId } = await held.daemon.ask<{ operationId: string | null }>('GET', `/vms/${ailing.vmId}`);
  return operationId === null
    ? inWords(await breaches(held.daemon.directory)).map((why) => `while it lasted: ${why}`)
    : [];
}

/** When it can be seen that nothing is under way any more. */
async function recovered({ held, ailing }: Scene, wrong: string[]): Promise<number> {
  const endedMs = performance.now();
  const pastMs = (): number => performance.now() - endedMs;
  while (pastMs() < RECOVERED_AT_LAST_MS) {
    const answer = await fetch(`${held.daemon.url}/v1/vms/${ailing.vmId}`);
    const { operationId } = (await answer.json()) as { operationId?: string | null };
    if (answer.ok && operationId === null) return pastMs();
    await setTimeout(POLL_MS);
  }
  wrong.push('something is still under way');
  return pastMs();
}
