import { z } from 'zod';

/* What `qemu-img map --output=json` says. */

/** All of an empty image is one extent. */
export const EMPTY_MAP_CHARACTERS_MAX = 4_096;

/** Of QEMU 7.2; what is not `present` is nowhere in the chain. */
const MAP = z.array(
  z.object({
    depth: z.number(),
    length: z.number(),
    present: z.boolean().default(true),
    /** False: it reads zeros, and nothing is kept for it. */
    data: z.boolean(),
  }),
);

/** How much of a chain is meant: the image alone, or with all that it stands on. */
export type Extent = 'own' | 'whole';

export const isEmptyMap = (printed: string): boolean =>
  MAP.parse(JSON.parse(printed)).every(({ present }) => !present);

/** Zeros left out. */
export const dataBytesIn = (printed: string, extent: Extent): number =>
  MAP.parse(JSON.parse(printed))
    .filter(({ depth, present, data }) => present && data && (depth === 0 || extent === 'whole'))
    .reduce((sum, { length }) => sum + length, 0);
