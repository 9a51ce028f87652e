/** Programs that one operation runs at the same time. */
export const AT_ONCE_MAX = 8;

/**
 * Does things side by side, a few at once, and waits for every one that was begun, whatever became of the others:
 * nobody takes anything back while something is still being made. Throws the first trouble, and begins nothing after it.
 */
export async function together<T>(works: readonly (() => Promise<T>)[]): Promise<T[]> {
  const results: T[] = [];
  for (let first = 0; first < works.length; first += AT_ONCE_MAX) {
    const ended = await Promise.allSettled(works.slice(first, first + AT_ONCE_MAX).map((work) => work()));
    for (const end of ended) {
      if (end.status === 'rejected') throw end.reason;
      results.push(end.value);
    }
  }
  return results;
}
