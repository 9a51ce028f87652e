import { chainUnder, type Finding, Refusal, type Snapshot, type Vm } from '#ledger';
import type { World } from '#world';
import { requireStream } from '../create/stream-files.ts';
import { lookAtImages } from '../look/look-at-images.ts';
import { isLocalFile, type Sight } from '../look/sight.ts';
import { type ImageAt, type ImageHealth, Images } from '../qemu/images.ts';
import { driftOf } from './drift.ts';
import type { FileSight } from './drift-of-snapshot.ts';
import { lookAtFiles, straysOf } from './survey.ts';

/** What the images of a VM say by themselves. */
export interface Inspected {
  readonly findings: readonly Finding[];
  /** Every image that could be told of, by its path; `locked`: somebody writes it. */
  readonly images: ReadonlyMap<string, ImageHealth>;
}

/**
 * Looks at the images of a VM and at nothing else: nobody is asked, no machine is kept from starting, and nothing is
 * changed. For auditors, beside a running ledgerd or without one. `onImage` hears which image is being checked.
 *
 * @throws {FileTrouble} for a file that we may not read, or cannot; {NotNow} when qemu-img was killed or is not there;
 *   {Refusal} `disk-unsupported` for an image that says nothing to qemu-img
 */
export async function inspectImages(
  world: World,
  vm: Readonly<Vm>,
  onImage: (file: string) => Promise<void> = async () => undefined,
): Promise<Inspected> {
  await requireReadable(world, vm);
  const images = new Images(world);
  const place = { world, images, disks: vm.disks, monitor: vm.monitor };
  const sight = await lookAtImages(place, 'shared');
  const files = await lookAtFiles(place, vm, sight, new Map());
  const strays = await straysOf(place, vm);
  const findings = [...driftOf(vm, { sight, files, strays }), ...chainsAstray(vm, sight, files)];
  findings.push(...(await streamsAstray(world, vm, onImage)));
  const health = new Map<string, ImageHealth>();
  for (const { file, format } of imagesOf(vm)) {
    if ((await world.files.stat(file)) === null) continue; // Missing ones are among the findings.
    await onImage(file);
    health.set(file, await healthOf(world, images, { file, format }));
  }
  return { findings, images: health };
}

/** What an auditor must not read is not damaged: whoever is let in can tell. */
async function requireReadable({ files }: World, vm: Readonly<Vm>): Promise<void> {
  const streams = streamsOf(vm).map(({ memory }) => ({ file: memory.file ?? '' }));
  for (const { file } of [...vm.disks, ...imagesOf(vm), ...streams]) {
    if (isLocalFile(file)) await files.start(file, 1);
  }
}

/** Memory that was saved as a stream is read whole: nothing in the file itself tells that it is what it was. */
async function streamsAstray(
  world: World,
  vm: Readonly<Vm>,
  onFile: (file: string) => Promise<void>,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { id: snapshotId, name, memory } of streamsOf(vm)) {
    const { file = '' } = memory;
    if ((await world.files.stat(file)) === null) continue; // Missing ones are among the findings.
    await onFile(file);
    try {
      await requireStream({ world }, memory);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const message = `"${name}" is not whole: ${error.message}`;
      findings.push({ kind: 'partial', snapshotId, file, message, evidence: [] });
    }
  }
  return findings;
}

const streamsOf = ({ snapshots }: Readonly<Vm>): Snapshot[] =>
  [...snapshots.values()].filter(({ memory }) => memory.format === 'stream' && memory.file !== undefined);

/** Layers under the disks whose header names another file than the log. */
function chainsAstray(
  vm: Readonly<Vm>,
  { disks }: Pick<Sight, 'disks'>,
  files: ReadonlyMap<string, FileSight>,
): Finding[] {
  const backingOf = (file: string): string | null | undefined => {
    const below = files.get(file);
    if (below) return below.kind === 'seen' ? below.backing : undefined;
    return disks.find((disk) => disk.file === file && !disk.readOnly)?.backing;
  };
  return disks.flatMap(({ device, file: top }) =>
    chainUnder(vm, top).flatMap(({ file, backing: wanted }) => {
      const backing = backingOf(file);
      if (wanted === null || backing === undefined || backing === wanted) return []; // Of the lowest we do not know.
      const message = `disk "${device}": ${file} stands on ${backing ?? 'nothing'}, not on ${wanted}`;
      return { kind: 'wrong-chain' as const, device, file, message, evidence: [] };
    }),
  );
}

/** Without the lock that a check would hold for minutes. Whoever began to write meanwhile makes it mean nothing. */
async function healthOf({ files }: World, images: Images, at: ImageAt): Promise<ImageHealth> {
  const stampOf = async (): Promise<string> => JSON.stringify(await files.stat(at.file));
  const stamp = await stampOf();
  const before = await images.info(at, 'alone');
  if (before.kind === 'locked') return before;
  const health = await images.check(at, 'shared');
  if (health.kind !== 'damaged') return health;
  const after = await images.info(at, 'alone');
  if (after.kind === 'locked') return after;
  return stamp === (await stampOf()) ? health : { kind: 'locked', words: 'somebody wrote it meanwhile' };
}

const imagesOf = ({ layers, snapshots }: Readonly<Vm>): { file: string; format: string }[] => {
  const memories = [...snapshots.values()].flatMap(({ memory }) =>
    memory.file === undefined || memory.format === 'stream' ? [] : [{ file: memory.file, format: 'qcow2' }],
  );
  return [...layers.values(), ...memories].filter(({ file }) => isLocalFile(file));
};
