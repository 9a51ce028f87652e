import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Detour } from '../simulation/detours.ts';
import { LONG } from '../simulation/size.ts';
import { Copy } from './copy.ts';
import type { Tidings } from './hunt.ts';
import type { Mutant } from './mutant.ts';

/** A world takes some ten milliseconds, one that never comes to its end some seconds, and a busy host longer. */
const WORLD_MAX_MS = 180_000;

export interface Seeds {
  readonly from: number;
  readonly count: number;
}

interface Worlds {
  readonly first: number;
  readonly until: number;
  readonly step: number;
}

/** What goes wrong with views only worlds show that have some: all others need not be looked at. */
function worldsFor(mutant: Mutant | null, { from, count }: Seeds): Worlds {
  const step = mutant?.file.startsWith('libs/views/') ? LONG.viewsEvery : 1;
  const first = Math.ceil(from / step) * step;
  return { first, until: first + count * step, step };
}

/** How a hunt ended. `seed`: the world that showed the mistake; null: none has. */
export interface Chased {
  readonly seed: number | null;
  /** What was said of it there. */
  readonly by: string;
  /** Worlds that showed nothing. */
  readonly worlds: number;
}

/** Simulates worlds with one mistake in the program, or none, until somebody notices. Throws when it cannot be run. */
export async function chase(
  mutant: Mutant | null,
  seeds: Seeds,
  journey: Detour | null = mutant?.journey ?? null,
): Promise<Chased> {
  const copy = new Copy(mutant);
  try {
    return await chaseIn(copy, worldsFor(mutant, seeds), journey);
  } finally {
    copy.dispose();
  }
}

function chaseIn({ root }: Copy, { first, until, step }: Worlds, journey: Detour | null): Promise<Chased> {
  return new Promise((resolve, reject) => {
    const execArgv = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
    const args = [...[first, until, step].map(String), ...(journey === null ? [] : [journey])];
    const child = fork(join(root, 'test/mutants/hunt.ts'), args, { cwd: root, execArgv });
    let worlds = 0;
    let end: Chased | null = null;
    const tooLong = (): void => {
      end = {
        seed: first + worlds * step,
        by: `the world does not end within ${WORLD_MAX_MS / 1000} s`,
        worlds,
      };
      child.kill('SIGKILL');
    };
    let patience = setTimeout(tooLong, WORLD_MAX_MS);
    child.on('message', (tidings: Tidings) => {
      clearTimeout(patience);
      patience = setTimeout(tooLong, WORLD_MAX_MS);
      if (tidings.kind === 'world') worlds += 1;
      else if (tidings.kind === 'survived') end = { seed: null, by: '', worlds };
      else end = { seed: tidings.seed, by: tidings.by, worlds };
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(patience);
      if (end) resolve(end);
      else reject(new Error(`the hunt ended without a word: ${code ?? signal}`));
    });
  });
}
