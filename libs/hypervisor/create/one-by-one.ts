import type { Errand } from '../errand.ts';
import type { SeenDisk } from '../look/sight.ts';
import { Thwarted } from '../trouble.ts';

/**
 * Does the same to one disk after the other of a machine that is off, each of which stands still only while it is worked
 * on. Throws what `work` does.
 *
 * @throws {Thwarted} `machine-busy` when the machine has run in between, for then they are of two instants
 */
export async function oneByOne<Subject extends { readonly disk: SeenDisk }>(
  { place, journal }: Errand,
  phase: 'capturing' | 'copying',
  subjects: readonly Subject[],
  work: (subject: Subject) => Promise<void>,
): Promise<void> {
  const writtenAt = async ({ disk: { file } }: Subject) => (await place.world.files.stat(file))?.modifiedAt;
  const before = await Promise.all(subjects.map(writtenAt));
  for (const [index, subject] of subjects.entries()) {
    if ((await writtenAt(subject)) !== before[index]) {
      const done = phase === 'capturing' ? 'captured' : 'copied';
      const { file } = subject.disk;
      throw new Thwarted('machine-busy', `${file} was written while the disks were ${done} one by one`);
    }
    journal.progress({ phase, percent: Math.floor((100 * index) / subjects.length) });
    await work(subject);
  }
}
