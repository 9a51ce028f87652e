import { appendFileSync } from 'node:fs';
import { pino } from 'pino';
import { realWorld } from '#world';
import { readConfig } from '../../apps/ledgerd/config.ts';
import { startDaemon } from '../../apps/ledgerd/daemon.ts';

/**
 * ledgerd with a bomb: `bombed-ledgerd.js POINT NTH PASSED-FILE options…` kills itself, as `kill -9` would, when it
 * passes a fault point for the NTH time. `none` never explodes. The points passed are written to PASSED-FILE.
 * Counting begins with SIGUSR2: what happens while the daemon starts is not what is tested.
 */
const [point = 'none', nth = '1', passedFile = '', ...args] = process.argv.slice(2);

let hits = 0;
const world = realWorld(async (passed) => {
  if (!armed) return;
  appendFileSync(passedFile, `${passed}\n`);
  if (passed !== point) return;
  hits += 1;
  if (hits !== Number(nth)) return;
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined); // Nothing goes on while the signal is on its way.
});

let armed = false;
process.on('SIGUSR2', () => (armed = true));

const { config } = readConfig({
  args,
  env: {},
  workingDirectory: process.cwd(),
  hostname: 'test-host',
  readText: () => '',
});
const daemon = await startDaemon({ config, world, log: pino({ level: 'silent' }) });
process.stdout.write(`${daemon.address} ${process.pid}\n`);
process.on('SIGTERM', () => void daemon.stop().then(() => process.exit(0)));
