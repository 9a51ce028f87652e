import { pino } from 'pino';
import { named, realWorld } from '#world';
import { configFrom } from '../crash/config.ts';
import { startDaemon } from '../../apps/ledgerd/daemon.ts';
import type { Order, Told } from './held.ts';

/**
 * A ledgerd that stands still at a fault point when it is told to, until it is told to go on: there its surroundings can
 * be made bad at exactly that moment. `held-ledgerd.js HASTE options…`; all else comes over the channel of its parent.
 * HASTE is how many times as fast its clock runs.
 */
const [haste = '1', ...args] = process.argv.slice(2);

const tell = (told: Told): void => void process.send?.(told);

let watching = false;
let hold: { readonly point: string; left: number } | null = null;
let goOn: () => void = () => undefined;
let jumpedMs = 0;

const fault = async (point: string): Promise<void> => {
  if (watching) tell({ passed: point });
  if (hold?.point !== point) return;
  hold.left -= 1;
  if (hold.left > 0) return;
  hold = null;
  const released = new Promise<void>((resolve) => (goOn = resolve));
  tell({ reached: point });
  await released;
};

process.on('message', (order: Order) => {
  switch (order.to) {
    case 'watch':
      watching = order.on;
      return;
    case 'hold':
      hold = { point: order.point, left: order.nth };
      return;
    case 'go':
      hold = null;
      return goOn();
    case 'jump':
      jumpedMs += order.ms;
  }
});
process.on('disconnect', () => process.exit(1)); // Nobody is there any more who could tell it to go on.

const world = named(realWorld(fault));
const { clock } = world;
const faster = Number(haste);

const config = configFrom(args);
const daemon = await startDaemon({
  config,
  world: {
    ...world,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() * faster + jumpedMs,
      sleep: (ms, signal) => clock.sleep(ms / faster, signal),
    },
  },
  log: pino({ level: 'silent' }),
});
process.stdout.write(`${daemon.address} ${process.pid}\n`);
