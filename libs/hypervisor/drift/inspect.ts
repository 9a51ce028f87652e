import { chainUnder, type Finding, type Vm } from '#ledger';
import type { World } from '#world';
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
 * @throws {NotNow} when qemu-img was killed or is not there, {Refusal} `disk-unsupported` for an image it cannot read
 */
export async function inspectImages(
  world: World,
  vm: Readonly<Vm>,
  onImage: (file: string) => Promise<void> = async () => undefined,
): Promise<Inspected> {
  const images = new Images(world);
  const place = { world, images, disks: vm.disks, monitor: vm.monitor };
  const sight = await lookAtImages(place, 'shared');
  const files = await lookAtFiles(place, vm, sight, new Map());
  const strays = await straysOf(place, vm);
  const findings = [...driftOf(vm, { sight, files, strays }), ...chainsAstray(vm, sight, files)];
  const health = new Map<string, ImageHealth>();
  for (const { file, format } of imagesOf(vm)) {
    if ((await world.files.stat(file)) === null) continue; // Missing ones are among the findings.
    await onImage(file);
    health.set(file, await healthOf(images, { file, format }));
  }
  return { findings, images: health };
}

/** Layers under the disks whose header names another file than the log. */
function chainsAstray(
  vm: Readonly<Vm>,
  { disks }: Pick<Sight, 'disks'>,
  files: ReadonlyMap<string, FileSight>,
): Finding[] {
  const backingOf = (file: string): string | null | undefined => {
    const below = files.get(file);
    return below?.kind === 'seen' ? below.backing : disks.find((disk) => disk.file === file)?.backing;
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
async function healthOf(images: Images, at: ImageAt): Promise<ImageHealth> {
  const before = await images.info(at, 'alone');
  if (before.kind === 'locked') return before;
  const health = await images.check(at, 'shared');
  if (health.kind !== 'damaged') return health;
  const after = await images.info(at, 'alone');
  return after.kind === 'locked' ? after : health;
}

const imagesOf = ({ layers, snapshots }: Readonly<Vm>): { file: string; format: string }[] => {
  const memories = [...snapshots.values()].flatMap(({ memory }) =>
    memory.file === undefined || memory.format === 'stream' ? [] : [{ file: memory.file, format: 'qcow2' }],
  );
  return [...layers.values(), ...memories].filter(({ file }) => isLocalFile(file));
};
