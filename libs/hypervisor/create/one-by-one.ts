import type { Errand } from '../errand.ts';
import type { SeenDisk } from '../look/sight.ts';
import { noteWritten, type Standing, whyDisturbed } from '../look/standing.ts';
import { Thwarted } from '../trouble.ts';

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
  const { place, journal } = errand;
  const requireUndisturbed = async (...files: string[]): Promise<void> => {
    const why = await whyDisturbed(place, standing, files);
    if (why) throw new Thwarted('machine-busy', `${why} while the disks were ${DONE[phase]} one by one`);
  };
  for (const [index, subject] of subjects.entries()) {
    const { file } = subject.disk;
    await requireUndisturbed(file);
    journal.progress({ phase, percent: Math.floor((100 * index) / subjects.length) });
    await work(subject);
    if (phase === 'capturing') await noteWritten(place, standing, file);
  }
  // Between a look at a file and the work on it, or the other way round, nobody keeps the machine from running.
  await requireUndisturbed(...subjects.map(({ disk }) => disk.file));
}

type Phase = 'capturing' | 'copying';

const DONE = { capturing: 'captured', copying: 'copied' } as const;
