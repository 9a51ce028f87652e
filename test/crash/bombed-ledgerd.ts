import { appendFileSync } from 'node:fs';
import { pino } from 'pino';
import { named, realWorld } from '#world';
import { readConfig } from '../../apps/ledgerd/config.ts';
import { startDaemon } from '../../apps/ledgerd/daemon.ts';

/**
 * ledgerd with a bomb: `bombed-ledgerd.js POINT NTH VICTIM PASSED-FILE options…` kills the process VICTIM, as `kill -9`
 * would, when it passes a fault point for the NTH time; the victim `self` is ledgerd. `none` never explodes. Points are
 * those that the code names, and both sides of every touch of the world. Those passed are written to PASSED-FILE.
 * Counting begins and ends with SIGUSR2: what happens while the daemon starts is not what is tested.
 */
const [point = 'none', nth = '1', victim = 'self', passedFile = '', ...args] = process.argv.slice(2);

let hits = 0;
const fault = async (passed: string): Promise<void> => {
  if (!armed) return;
  appendFileSync(passedFile, `${passed}\n`);
  if (passed !== point) return;
  hits += 1;
  if (hits !== Number(nth)) return;
  if (victim !== 'self') return void process.kill(Number(victim), 'SIGKILL');
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined); // Nothing goes on while the signal is on its way.
};
const world = named(realWorld(fault));

let armed = false;
process.on('SIGUSR2', () => (armed = !armed));

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
