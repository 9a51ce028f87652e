import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import type { World } from '../world.ts';
import { realConnect } from './connect.ts';
import { realFiles } from './files.ts';
import { realLock } from './lock.ts';
import { realRun } from './run.ts';
import { realStreams } from './streams.ts';
import { uuids } from './uuids.ts';

const noFault = (): Promise<void> => Promise.resolve();

/** The machine this process runs on. `fault` is where a crash test puts its bomb. */
export const realWorld = (fault: World['fault'] = noFault): World => ({
  clock: {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep: realSleep,
  },
  ids: { uuid: uuids(() => Date.now()) },
  random: { next: () => Math.random() },
  files: realFiles,
  run: realRun,
  connect: realConnect,
  lock: realLock,
  streams: realStreams,
  turn: () => setImmediate(undefined),
  fault,
});

function realSleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const wake = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    signal?.addEventListener('abort', wake, { once: true });
  });
}
