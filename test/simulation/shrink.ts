/* Of a world in which something went wrong: how little of it is enough. */
import { simulate } from './simulate.ts';
import type { SimulateOptions, Simulated } from './simulated.ts';
import { Violation } from './violation.ts';

/** Worlds that are tried before the shortest one so far is taken. */
export const TRIES_MAX = 300;

export interface Shrunk {
  /** The shortest that goes wrong in the same way. */
  readonly result: Simulated;
  /** What does not happen in it. */
  readonly without: readonly string[];
  readonly tries: number;
}

/**
 * Leaves out of a world what it can do without, half of it first, then ever smaller pieces, as long as what goes wrong
 * is of the same kind.
 */
export async function shrunk(first: Simulated, options: SimulateOptions = {}): Promise<Shrunk> {
  const wanted = kindOf(first.violation);
  const without = new Set<string>();
  let best = first;
  let tries = 0;
  const tryWithout = async (names: readonly string[]): Promise<void> => {
    if (names.length === 0 || tries === TRIES_MAX) return;
    tries += 1;
    const tried = new Set([...without, ...names]);
    const result = await simulate(first.seed, { ...options, without: tried });
    const isShorter = kindOf(result.violation) === wanted && result.happened.length < best.happened.length;
    if (!isShorter) return;
    for (const name of names) without.add(name);
    best = result;
  };
  for (let size = Math.ceil(first.happened.length / 2); size >= 1;) {
    const before = best.happened.length;
    for (let end = before; end > 0; end -= size)
      await tryWithout(best.happened.slice(Math.max(0, end - size), end));
    const isOver = size === 1 && best.happened.length === before;
    size = isOver || tries === TRIES_MAX ? 0 : Math.ceil(size / 2);
  }
  return { result: best, without: [...without], tries };
}

/** Two violations are of one kind when they break the same invariant, two errors when they are called the same. */
const kindOf = (error: Error | null): string =>
  error instanceof Violation ? error.invariant : (error?.name ?? '');

/** What to print of it. */
export function historyOf({ result, without, tries }: Shrunk, command: string): string {
  const { seed, happened, traceLines, violation } = result;
  return [
    `the shortest history found in ${tries} tries, ${traceLines} lines of trace: ${violation?.message ?? ''}`,
    ...happened.map((name) => `  ${name}`),
    `replay it: ${command} --seed ${seed} --trace${without.length > 0 ? ` --without '${without.join(',')}'` : ''}`,
  ].join('\n');
}
