/* npm run followers -- --kills 20 --writers 16: who reads along sees everything once, however often ledgerd is killed. */
import { parseArgs } from 'node:util';
import { cleanUp } from '../qemu/rig.ts';
import { followersRun } from './run.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    writers: { type: 'string', default: '16' },
    machines: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
  },
});

const end = await followersRun({
  ...{ kills: Number(values.kills), writers: Number(values.writers), machines: Number(values.machines) },
  lives: [200, 2_000],
  onKill: (kill, { events }) => console.error(`death ${kill}: ${events} events`),
});
await cleanUp();
if (values.json) console.log(JSON.stringify(end));
else {
  const { events, acknowledged, retries, readers, wrong } = end;
  console.log(`${events} events; ${acknowledged} requests acknowledged, ${retries} asked again`);
  for (const { name, seen, connections } of readers)
    console.log(`${name.padEnd(10)} saw ${seen} events over ${connections} connections`);
  console.log([`${wrong.length} things wrong`, ...wrong].join('\n'));
}
process.exitCode = end.wrong.length === 0 ? 0 : 1;
