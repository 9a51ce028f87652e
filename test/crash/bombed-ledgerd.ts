import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Hypervisor, openHypervisor } from '#hypervisor';
import { named, realWorld, type World } from '#world';
import type { Config } from '../../apps/ledgerd/config.ts';
import { configFrom } from './config.ts';
import { startDaemon } from '../../apps/ledgerd/daemon.ts';
import type { Bomb, Defused } from './daemon-process.ts';

/**
 * ledgerd with a bomb: `bombed-ledgerd.js RECOVERY options…`. Whoever started it lays a bomb, or takes it away again, by
 * a message, and is answered with the fault points that have been passed since the message before: those that the code
 * names, and both sides of every touch of the world. A bomb kills a process, as `kill -9` would, when its point is passed
 * for the n-th time. With RECOVERY `forgetful` what was half-done is given up unseen: the control of those who look for
 * what a death leaves.
 */
const [recovery = 'recovering', ...args] = process.argv.slice(2);

let bomb: Bomb | null = null;
let hits = 0;
let passed: string[] = [];

const fault = async (point: string): Promise<void> => {
  if (!bomb) return;
  passed.push(point);
  if (point !== bomb.point) return;
  hits += 1;
  if (hits !== bomb.nth) return;
  process.kill(bomb.victim ?? process.pid, 'SIGKILL');
  if (bomb.victim === undefined) await new Promise(() => undefined); // Nothing goes on while the signal is on its way.
};

process.on('message', (said: { readonly bomb: Bomb | null }) => {
  process.send?.({ passed, hasExploded: bomb !== null && hits >= bomb.nth } satisfies Defused);
  [bomb, hits, passed] = [said.bomb, 0, []];
});
process.on('disconnect', () => process.exit(1)); // Who started us is gone.

const config = configFrom(args);
const world = named(realWorld(fault));
const hypervisor = recovery === 'forgetful' ? { hypervisor: forgetful(config, world) } : {};
const daemon = await startDaemon({ config, world, log: pino({ level: 'silent' }), ...hypervisor });
process.stdout.write(`${daemon.address} ${process.pid}\n`);
process.on('SIGTERM', () => void daemon.stop().then(() => process.exit(0)));
flushCompileCache(); // Who is killed keeps nothing for its successor.

/** Without its recovery: what has begun and was not ended at once is called undone, and nobody looks. */
function forgetful({ monitorRoots, imageRoots, host, data }: Config, world: World): Hypervisor {
  const transcriptsDir = join(data, 'transcripts');
  const real = openHypervisor({ world, monitorRoots, imageRoots, worker: host, transcriptsDir });
  return {
    ...real,
    async carryOut(vm, operation, journal) {
      if (!operation.started) return real.carryOut(vm, operation, journal);
      const failed = { operationId: operation.id, reason: 'machine-gone', outcome: 'undone' } as const;
      const nothing = { message: 'nobody looked', leftovers: [], steps: [], transcriptDigest: '' };
      return { type: 'ReportFailed', failed: { ...failed, ...nothing } };
    },
  };
}
