/**
 * Names that mean something to JavaScript itself: as members they reach into prototypes, and libraries pass them over
 * in silence. As the key of a label they are data like any other.
 */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
