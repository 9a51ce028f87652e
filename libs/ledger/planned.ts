import { z } from 'zod';
import { Backup, Layer } from './shapes.ts';

/* What an operation is about to make, named in the log before anything is touched. */

/** A layer that an operation makes. */
export const PlannedLayer = Layer.omit({ origin: true }).extend({
  node: z.string(),
  /** A new empty file, one that the caller made, or a copy of `source` that a snapshot inside is loaded from. */
  by: z.enum(['create', 'existing', 'copy']),
  source: z.string().optional(),
  /** When what it stands on had been written last, in ms since 1970, when the operation began. */
  backingModifiedAt: z.number().optional(),
});
export type PlannedLayer = z.infer<typeof PlannedLayer>;

/** A copy of a disk that an operation makes. */
export const PlannedBackup = Backup.omit({ fileMode: true }).extend({
  /** A new empty file, or one that the caller made. */
  by: z.enum(['create', 'existing']),
  /** What the copy stands on: it holds only what is not in there. Null: it holds everything. */
  backing: z.object({ file: z.string(), format: z.string() }).nullable(),
  /** The name that QEMU is to know the copy by. */
  node: z.string(),
});
export type PlannedBackup = z.infer<typeof PlannedBackup>;
