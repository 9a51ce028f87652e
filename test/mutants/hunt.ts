/*
 * Runs in a copy that has a mistake in it: simulates worlds until one of them shows it, every other a long one, or all
 * of them on one journey. Tells its parent of each.
 */
import { detourNamed } from '../simulation/detours.ts';
import type { Journey } from '../simulation/journeys.ts';
import { simulate } from '../simulation/simulate.ts';

/** What is told: after every world, and in the end. */
export type Tidings =
  | { readonly kind: 'world'; readonly seed: number }
  | { readonly kind: 'caught'; readonly seed: number; readonly by: string }
  | { readonly kind: 'survived' };

Error.stackTraceLimit = 0; // Many errors are thrown, and nobody looks at where from.

async function hunt(
  [from = 1, until = 1, step = 1]: readonly number[],
  journey: Journey | null,
): Promise<Tidings> {
  for (let seed = from; seed < until; seed += step) {
    const isLong = step > 1 || seed % 2 === 0;
    const { violation } = await simulate(seed, { isLong, isHashed: false, journey });
    if (violation) return { kind: 'caught', seed, by: wordsOf(violation) };
    tell({ kind: 'world', seed });
  }
  return { kind: 'survived' };
}

const wordsOf = ({ name, message }: Error): string =>
  name === 'Violation' ? message : `${name}: ${message}`;

const tell = (tidings: Tidings): void => void process.send?.(tidings);

const [name] = process.argv.slice(5);
tell(await hunt(process.argv.slice(2, 5).map(Number), name === undefined ? null : detourNamed(name)));
process.disconnect();
