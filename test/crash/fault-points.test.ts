import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { type Bomb, DaemonProcess } from './daemon-process.ts';
import { bootSubject, differences, register, type Subject, take, unanswered } from './machine.ts';

/** What is killed, and what must stand before it can be asked for. */
interface Kind {
  readonly name: string;
  readonly method: string;
  path(before: string): string;
  readonly body?: object;
}

const KINDS: readonly Kind[] = [
  { name: 'a create of memory and disks', method: 'POST', path: () => '/snapshots', body: { name: 'new' } },
  {
    name: 'a create of disks',
    method: 'POST',
    path: () => '/snapshots',
    body: { name: 'new', diskOnly: true },
  },
  { name: 'a load', method: 'POST', path: (before) => `/snapshots/${before}/load`, body: {} },
  { name: 'a delete', method: 'DELETE', path: (before) => `/snapshots/${before}?strategy=merge` },
];

/** So many points of each kind, by chance; `FAULT_POINTS=1000` is all of them. */
const POINTS_MAX = Number(process.env['FAULT_POINTS'] ?? '8');

afterAll(cleanUp);

describe.runIf(needsQemu())('ledgerd killed with -9 at the fault points it passes in', () => {
  for (const kind of KINDS) {
    test(
      `${kind.name}: the next one ends it once, and the disks are what the ledger says`,
      { timeout: 300_000 },
      async () => {
        const subject = await bootSubject(2);
        const points = await rehearse(subject, kind);
        for (const bomb of points) await killAndRecover(subject, kind, bomb);
      },
    );
  }
});

const countOf = (passed: readonly string[], point: string): number =>
  passed.filter((other) => other === point).length;

/** Which points are passed when nothing dies; some of them are to be died at, each at one of the times it is passed. */
async function rehearse(subject: Subject, kind: Kind): Promise<Bomb[]> {
  const daemon = await DaemonProcess.start(subject.directory);
  await register(subject, daemon);
  const before = await take(subject, daemon, 'before');
  daemon.arm();
  await daemon.ask(kind.method, `/vms/${subject.vmId}${kind.path(before)}`, kind.body);
  await daemon.quiet(subject.vmId);
  const passed = daemon.passed();
  await daemon.kill();
  const points = [...new Set(passed)].map((point) => ({ point, rank: Math.random() }));
  expect(points.length).toBeGreaterThan(5);
  const chosen = points.toSorted((one, other) => one.rank - other.rank).slice(0, POINTS_MAX);
  return chosen.map(({ point }) => ({
    point,
    nth: 1 + Math.floor(Math.random() * countOf(passed, point)),
  }));
}

async function killAndRecover(subject: Subject, kind: Kind, bomb: Bomb): Promise<void> {
  rmSync(join(subject.directory, 'passed.txt'), { force: true });
  const where = `${kind.name}, at ${bomb.point} (${bomb.nth})`;
  const daemon = await DaemonProcess.start(subject.directory, bomb);
  const before = await take(subject, daemon, `before ${bomb.point} ${bomb.nth}`);
  daemon.arm();
  const body = kind.body && {
    ...kind.body,
    ...('name' in kind.body && { name: `${bomb.point} ${bomb.nth}` }),
  };
  await daemon.try(kind.method, `/vms/${subject.vmId}${kind.path(before)}`, body);
  await Promise.race([daemon.gone, daemon.quiet(subject.vmId).catch(() => undefined)]);
  await daemon.kill(); // A point that was not passed this time leaves it alive.

  const next = await DaemonProcess.start(subject.directory);
  await next.quiet(subject.vmId);
  expect(await unanswered(subject, next), where).toEqual([]);
  expect(await differences(subject, next), where).toEqual([]);
  await next.kill();
}
