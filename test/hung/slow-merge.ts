/* A merge whose copying takes longer than anybody waits for. */
import { setTimeout } from 'node:timers/promises';
import { shown } from '../crash/owner.ts';
import { inWords, wrongWith } from '../chaos/verdict.ts';
import { ask, type ChaosKind, KINDS } from '../chaos/kinds.ts';
import { cleared, endOf } from '../chaos/round.ts';
import type { Subject } from '../crash/machine.ts';
import { forgotten, inquire, whyBad } from './answers.ts';
import { pulse } from './neighbour.ts';
import type { Ordeal } from './ordeal.ts';
import { readied, type Scene } from './scene.ts';

/** Longer than a copy may take. */
const A_DAY_MS = 24 * 60 * 60_000;
const POLL_MS = 20;
const POLLS_MAX = 500;
/** In which ledgerd has noticed how late it is, and looked again. */
const NOTICED_MS = 4_000;

/** Needs a scene whose disks can be held up. */
export async function outlast(scene: Scene): Promise<Ordeal> {
  const { held, ailing, neighbour } = scene;
  const { daemon } = held;
  const kind = mergeOutside();
  const before = await readied(scene, kind);
  const calmMs = await pulse(neighbour, daemon);
  await holdUp(ailing);
  await ask(kind, ailing, daemon, before);
  const id = await whenMerging(scene);
  held.jump(A_DAY_MS);
  await setTimeout(NOTICED_MS);
  const wrong: string[] = [];
  const { conditions } = await shown(ailing, daemon);
  if (!conditions.some(({ type }) => type === 'Overdue')) wrong.push('nobody is told that it is overdue');
  const times = (await pulse(neighbour, daemon)) / calmMs;
  const answers = await inquire(daemon, ailing.vmId);
  wrong.push(...answers.flatMap((answer) => whyBad(answer) ?? []));
  if ((await daemon.ask<{ done: boolean }>('GET', `/operations/${id}`)).done)
    wrong.push('it is said to have ended while QEMU still copies');
  await letGo(ailing);
  const endedMs = performance.now();
  await daemon.quiet(ailing.vmId);
  const recoveredMs = performance.now() - endedMs;
  const ended = await endOf(ailing, daemon, { kind, earlier: '' });
  wrong.push(...inWords(await wrongWith(ailing, daemon, { kind, ended, hasQemuDied: false })));
  wrong.push(...(await forgotten(daemon, answers)));
  await cleared(ailing, daemon);
  await cleared(neighbour, daemon);
  return {
    ...{ kind: kind.name, cause: 'outlives its timeout', at: 'in its copying', neighbourTimes: times },
    ...{ answers: answers.map(({ told }) => told), ended, recoveredMs, wrong },
  };
}

function mergeOutside(): ChaosKind {
  const kind = KINDS.find(({ name }) => name === 'merge outside, 2 disks');
  if (!kind) throw new Error('there is no merge outside among the kinds of request');
  return kind;
}

/** The next write into an image that it was registered with does not come back. */
const holdUp = ({ qemu, disks }: Subject): Promise<unknown[]> =>
  Promise.all(disks.map(({ node }) => said(qemu, `qemu-io ${node}_d "break write_aio A"`)));

const letGo = ({ qemu, disks }: Subject): Promise<unknown[]> =>
  Promise.all(
    disks.flatMap(({ node }) => [
      said(qemu, `qemu-io ${node}_d "remove_break A"`),
      said(qemu, `qemu-io ${node}_d "resume A"`),
    ]),
  );

const said = ({ monitor }: Subject['qemu'], line: string): Promise<unknown> =>
  monitor.execute('human-monitor-command', { 'command-line': line });

async function whenMerging({ held, ailing }: Scene): Promise<string> {
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    const { operationId } = await held.daemon.ask<{ operationId: string | null }>(
      'GET',
      `/vms/${ailing.vmId}`,
    );
    const path = `/operations/${operationId}`;
    const { phase } = operationId ? await held.daemon.ask<{ phase: string }>('GET', path) : { phase: '' };
    if (operationId && phase === 'merging') return operationId;
    await setTimeout(POLL_MS);
  }
  throw new Error('the merge did not begin to copy');
}
