import type { World } from '#world';

/** Of a machine that only this test has: what it locks is locked for nobody else on this computer. */
export const noRival: World['lock'] = () => Promise.resolve({ release: () => undefined });
