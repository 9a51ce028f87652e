import type { PersistedState, StateStore } from '../state-store.ts';

/** States that are forgotten with the process. Give `kept` to the next one, and they have survived a crash. */
export function openMemoryStates(kept = new Map<string, PersistedState>()): StateStore {
  return {
    get: async (stream) => kept.get(stream) ?? null,
    put: async (stream, state) => void kept.set(stream, state),
    close: () => Promise.resolve(),
  };
}
