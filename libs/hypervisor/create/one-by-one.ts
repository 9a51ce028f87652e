import type { Errand } from '../errand.ts';
import { monitorSocket } from '../look/monitor-socket.ts';
import type { SeenDisk } from '../look/sight.ts';
import { Thwarted } from '../trouble.ts';

/** What changes when the machine runs. */
export interface Standing {
  /** What lies at the monitor's path. */
  readonly socket: string;
  /** By file, when it was written last as far as that is right: before anything of it was worked on, or by us. */
  readonly times: Map<string, number | null>;
}

/** How the images of a machine that is off stand now. Throws what the file system refuses. */
export async function standingNow(errand: Errand, disks: readonly SeenDisk[]): Promise<Standing> {
  const socket = await monitorSocket(errand.place);
  const times = new Map<string, number | null>();
  for (const { file } of disks) times.set(file, await writtenAt(errand, file));
  return { socket, times };
}

/**
 * Does the same to one disk after the other of a machine that is off, each of which stands still only while it is worked
 * on. Throws what `work` does.
 *
 * @throws {Thwarted} `machine-busy` when the machine has run in between, for then they are of two instants
 */
export async function oneByOne<Subject extends { readonly disk: SeenDisk }>(
  errand: Errand,
  {
    phase,
    standing: { socket, times },
  }: { readonly phase: 'capturing' | 'copying'; readonly standing: Standing },
  subjects: readonly Subject[],
  work: (subject: Subject) => Promise<void>,
): Promise<void> {
  const meanwhile = `while the disks were ${phase === 'capturing' ? 'captured' : 'copied'} one by one`;
  for (const [index, subject] of subjects.entries()) {
    const { file } = subject.disk;
    if ((await writtenAt(errand, file)) !== times.get(file))
      throw new Thwarted('machine-busy', `${file} was written ${meanwhile}`);
    errand.journal.progress({ phase, percent: Math.floor((100 * index) / subjects.length) });
    await work(subject);
    // Between that look at the file and the work it may have run and died: now the file's time is of our own writing.
    if ((await monitorSocket(errand.place)) !== socket)
      throw new Thwarted('machine-busy', `the machine was started ${meanwhile}`);
    times.set(file, await writtenAt(errand, file));
  }
}

const writtenAt = async ({ place }: Errand, file: string): Promise<number | null> =>
  (await place.world.files.stat(file))?.modifiedAt ?? null;
