import type { Errand } from '../errand.ts';
import type { SeenDisk } from '../look/sight.ts';
import { Thwarted } from '../trouble.ts';

/** By file, when it was written last as far as that is right: before anything of it was worked on, or by us. */
export type Standing = Map<string, number | null>;

/** How the images of a machine that is off stand now. Throws what the file system refuses. */
export async function standingNow(errand: Errand, disks: readonly SeenDisk[]): Promise<Standing> {
  const standing: Standing = new Map();
  for (const { file } of disks) standing.set(file, await writtenAt(errand, file));
  return standing;
}

/**
 * Does the same to one disk after the other of a machine that is off, each of which stands still only while it is worked
 * on. Throws what `work` does.
 *
 * @throws {Thwarted} `machine-busy` when the machine has run in between, for then they are of two instants
 */
export async function oneByOne<Subject extends { readonly disk: SeenDisk }>(
  errand: Errand,
  { phase, standing }: { readonly phase: Phase; readonly standing: Standing },
  subjects: readonly Subject[],
  work: (subject: Subject) => Promise<void>,
): Promise<void> {
  for (const [index, subject] of subjects.entries()) {
    const { file } = subject.disk;
    await requireUnwritten(errand, { file, phase, standing });
    errand.journal.progress({ phase, percent: Math.floor((100 * index) / subjects.length) });
    await work(subject);
    if (phase === 'capturing') standing.set(file, await writtenAt(errand, file));
  }
  // Between the look at a file and the work nobody keeps the machine from running. If that has left the disks before it alone,
  // they are of one instant all the same.
  for (const { disk } of subjects) await requireUnwritten(errand, { file: disk.file, phase, standing });
}

type Phase = 'capturing' | 'copying';

async function requireUnwritten(
  errand: Errand,
  { file, phase, standing }: { readonly file: string; readonly phase: Phase; readonly standing: Standing },
): Promise<void> {
  if ((await writtenAt(errand, file)) === standing.get(file)) return;
  const done = phase === 'capturing' ? 'captured' : 'copied';
  throw new Thwarted('machine-busy', `${file} was written while the disks were ${done} one by one`);
}

const writtenAt = async ({ place }: Errand, file: string): Promise<number | null> =>
  (await place.world.files.stat(file))?.modifiedAt ?? null;
