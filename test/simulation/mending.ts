import type { Book } from './book.ts';
import { must } from './violation.ts';

/** How long whoever loads may take to repair what is half reverted, once nothing goes wrong any more. */
const MENDED_WITHIN_MS = 180_000;

/**
 * Whether a load that is not over must still repair an image that lost its QEMU half-way. Whoever starts the machine
 * waits for that, `wellMs` after the last thing went wrong. Throws a `Violation`.
 */
export function isToBeMended({ vm, open }: Book, wellMs: number): boolean {
  const isLoading = open?.kind === 'load' && open.started !== null;
  if (!isLoading || vm.machine || vm.isStarting) return false;
  const tops = new Set(vm.tops().values());
  const torn = vm.torn.find(({ path }) => tops.has(path));
  must(
    !torn || wellMs < MENDED_WITHIN_MS,
    'I17',
    () => `${torn?.path} is half reverted, and nobody mends it`,
  );
  return torn !== undefined;
}
