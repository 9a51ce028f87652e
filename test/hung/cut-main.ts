/*
 * npm run cut -- --stride 1 --machines 16: the connection to QEMU breaks after each byte that a create says, either way.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { breaches, inWords } from '../chaos/verdict.ts';
import { DaemonProcess } from '../crash/daemon-process.ts';
import { cleanUp, makeDirectory } from '../qemu/rig.ts';
import { type Cut, cut, cutsOf, lengthOf, wiredIn, wrongAtLast } from './cuts.ts';
import { cutTable } from './tables.ts';

const { values } = parseArgs({
  options: {
    /** Every so many bytes. */
    stride: { type: 'string', default: '1' },
    /** At the same time. */
    machines: { type: 'string', default: '16' },
    json: { type: 'boolean', default: false },
  },
});
const SHOWN_EVERY = 500;

const root = makeDirectory();
const daemon = await DaemonProcess.start(root);
const wired = await Promise.all(
  Array.from({ length: Number(values.machines) }, (_, index) => {
    const directory = join(root, `m${index}`);
    mkdirSync(directory);
    return wiredIn(directory, daemon, `m${index}`);
  }),
);
const [first] = wired;
if (!first) throw new Error('--machines must be 1 at least');
const length = await lengthOf(first, daemon);
const left = cutsOf(length, Number(values.stride));
const all = left.length;
console.error(
  `a create says ${length['to QEMU']} bytes to QEMU and hears ${length['from QEMU']}: ${all} cuts`,
);

const done: Cut[] = [];
await Promise.all(
  wired.map(async (machine) => {
    for (let next = left.shift(); next; next = left.shift()) {
      done.push(await cut(machine, daemon, next));
      if (done.length % SHOWN_EVERY === 0) console.error(`${done.length} of ${all}`);
    }
  }),
);
const wrong = done.flatMap(({ direction, bytes, ended, wrong: words }) =>
  words.map((why) => `${direction}, ${bytes} bytes, ${ended}: ${why}`),
);
for (const machine of wired) wrong.push(...(await wrongAtLast(machine, daemon)));
wrong.push(...inWords(await breaches(daemon.directory)));
console.log(values.json ? JSON.stringify({ length, cuts: done, wrong }) : cutTable(done, wrong));
for (const { wire } of wired) wire.close();
await daemon.kill();
await cleanUp();
process.exitCode = wrong.length === 0 ? 0 : 1;
