import type { Errand } from '../errand.ts';
import { monitorSocket } from '../look/monitor-socket.ts';
import type { SeenDisk } from '../look/sight.ts';
import { Thwarted } from '../trouble.ts';
import { writtenAt } from '../written-at.ts';

/** How a machine that is off, and its images, stood before anything was worked on. */
export interface Standing {
  /** What lay at the monitor's path: a machine that is started puts another socket there, and one that ends takes it away. */
  readonly socket: string;
  /** By file, when it was written last as far as that is right: before, or by us. */
  readonly times: Map<string, number | null>;
}

/** Throws what the file system refuses. */
export async function standingNow(errand: Errand, disks: readonly SeenDisk[]): Promise<Standing> {
  const { place } = errand;
  const socket = await monitorSocket(place);
  const times = new Map<string, number | null>();
  for (const { file } of disks) times.set(file, await writtenAt(place, file));
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
  { phase, standing }: { readonly phase: Phase; readonly standing: Standing },
  subjects: readonly Subject[],
  work: (subject: Subject) => Promise<void>,
): Promise<void> {
  for (const [index, subject] of subjects.entries()) {
    const { file } = subject.disk;
    await requireUnwritten(errand, { file, phase, standing });
    errand.journal.progress({ phase, percent: Math.floor((100 * index) / subjects.length) });
    await work(subject);
    if (phase === 'capturing') standing.times.set(file, await writtenAt(errand.place, file));
  }
  // Between a look at a file and the work on it, or the other way round, nobody keeps the machine from running.
  for (const { disk } of subjects) await requireUnwritten(errand, { file: disk.file, phase, standing });
}

type Phase = 'capturing' | 'copying';

const DONE = { capturing: 'captured', copying: 'copied' } as const;

async function requireUnwritten(
  errand: Errand,
  { file, phase, standing }: { readonly file: string; readonly phase: Phase; readonly standing: Standing },
): Promise<void> {
  if ((await writtenAt(errand.place, file)) !== standing.times.get(file))
    throw new Thwarted('machine-busy', `${file} was written while the disks were ${DONE[phase]} one by one`);
  if ((await monitorSocket(errand.place)) !== standing.socket)
    throw new Thwarted('machine-busy', `the machine has run while its disks were ${DONE[phase]} one by one`);
}
