/* Somebody who only looks, all the time. */
import { setTimeout } from 'node:timers/promises';
import type { Ledgerd } from './ledgerd.ts';
import type { SoakMachine } from './machine.ts';

const PAUSE_MS = 50;

export async function readAllTheTime(
  ledgerd: Ledgerd,
  machines: readonly SoakMachine[],
  signal: AbortSignal,
): Promise<void> {
  const paths = [
    ...['/vms', '/operations?pageSize=50'],
    ...machines.flatMap(({ path }) => [
      ...[path, `${path}/lineage`, `${path}/history`, `${path}/status`],
      `${path}/snapshots?pageSize=50`,
    ]),
  ];
  for (let next = 0; !signal.aborted; next += 1) {
    await ledgerd.answer('GET', paths[next % paths.length] ?? '/vms');
    await setTimeout(PAUSE_MS);
  }
}
