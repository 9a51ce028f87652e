import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cleanUp, makeDirectory } from '../qemu/rig.ts';
import { DaemonProcess } from './daemon-process.ts';
import { bootSubject } from './machine.ts';
import { type KillRound, killRounds, killTable } from './qemu-kills.ts';

/* npm run crash -- --rounds 100: that many kills of QEMU inside creates of two and of four disks each. */
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '100' } } });
const rounds = Number(values.rounds);

const directory = makeDirectory();
const daemon = await DaemonProcess.start(directory);
let machines = 0;
const boot = (disksCount: number) => {
  const own = join(directory, `m${(machines += 1)}`);
  mkdirSync(own);
  return bootSubject(disksCount, own);
};
const all: KillRound[] = [];
for (const disksCount of [2, 4]) {
  console.error(`${rounds} kills inside creates of ${disksCount} disks …`);
  all.push(...(await killRounds(daemon, { boot, rounds, disksCount, random: Math.random })));
}
await daemon.kill();
await cleanUp();
console.log(killTable(all).join('\n'));
const wrong = all.filter((round) => round.wrong.length > 0);
console.log(`${all.length} kills, ${wrong.length} machines whose disks differ from the ledger`);
for (const round of wrong) console.log(round.wrong.join('\n'));
process.exitCode = wrong.length === 0 ? 0 : 1;
