import { chainUnder, type Finding, type Snapshot, type Vm } from '#ledger';
import { orphanTag } from '../drift/drift.ts';

/* Earlier pins with tags in layers that were to go with all that is in them. */

/** What became of the layers that nobody needs. */
export interface Unlinked {
  readonly gone: readonly string[];
  readonly staying: readonly string[];
}

/**
 * A layer that could not be unlinked still has the tags that were to go with it. The pin that they belong to stays as
 * well, unless something else of it is gone by now. Returns those that do not.
 */
export const withoutStaying = (
  vm: Pick<Vm, 'layers'>,
  pins: readonly Snapshot[],
  unlinked: Unlinked,
): Snapshot[] => pins.filter((pin) => !isBuried(pin, unlinked) || !isUntouched(vm, pin, unlinked));

const isBuried = ({ disks }: Snapshot, { staying }: Unlinked): boolean =>
  disks.some(({ mode, file = '' }) => mode === 'internal' && staying.includes(file));

/** Whether all that a pin keeps is where it was. What it had in tops is not: that is taken off first. */
const isUntouched = (vm: Pick<Vm, 'layers'>, { disks }: Snapshot, { gone, staying }: Unlinked): boolean =>
  disks.every(({ mode, file = '' }) => {
    if (mode === 'none') return true;
    const isLost = chainUnder(vm, file).some((layer) => gone.includes(layer.file));
    return !isLost && (mode === 'external' || staying.includes(file));
  });

/** Tags of a pin in these files, which no disk has on top, as the log tells of them: a load takes none off there. */
export const tagsInside = ({ evidence }: Snapshot, files: readonly string[]): Finding[] =>
  evidence
    .filter(({ file }) => files.includes(file))
    .map((trace) => orphanTag(trace, { ...trace, dateMs: trace.date }));
