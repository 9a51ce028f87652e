import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cleanUp, makeDirectory, needsQemu } from '../qemu/rig.ts';
import { DaemonProcess } from './daemon-process.ts';
import { bootSubject } from './machine.ts';
import { type KillRound, killRounds, killTable } from './qemu-kills.ts';

/** Of each width. `npm run crash` does a hundred. */
const ROUNDS = 12;

afterAll(cleanUp);

describe.runIf(needsQemu())('QEMU killed with -9 inside a create', () => {
  test('after the restart the disks are what the ledger says, every time', { timeout: 240_000 }, async () => {
    const directory = makeDirectory();
    const daemon = await DaemonProcess.start(directory);
    let machines = 0;
    const boot = (disksCount: number) => {
      const own = join(directory, `m${(machines += 1)}`);
      mkdirSync(own);
      return bootSubject(disksCount, own);
    };
    const rounds: KillRound[] = [];
    for (const disksCount of [2, 4]) {
      rounds.push(...(await killRounds(daemon, { boot, rounds: ROUNDS, disksCount, random: Math.random })));
    }
    await daemon.kill();
    console.log(killTable(rounds).join('\n'));
    expect(rounds.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
  });
});
