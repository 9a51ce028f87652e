import { type Disk, Refusal, unborn } from '#ledger';
import { MonitorTrouble } from '#qmp';
import type { Files } from '#world';
import { filesBelow } from './below.ts';
import { foreignTags, type ForeignTag, ledgerDisks } from './known-disks.ts';
import { look } from './look.ts';
import type { Place } from '../place.ts';
import { NotNow } from '../not-now.ts';
import { requireImagePath } from '../qemu/paths.ts';
import type { Power, Sight } from './sight.ts';

/** A disk of a machine that is off, as somebody describes it. */
export interface DescribedDisk {
  readonly device: string;
  readonly file: string;
  readonly format: string;
}

/** What there is to know of a machine before it is registered. */
export interface Discovered {
  /** Without symbolic links. */
  readonly monitor: string;
  readonly disks: Disk[];
  /** What stood on the disks before we came. */
  readonly foreignTags: ForeignTag[];
  /** Files that it reads and does not write: read-only images, and what the others stand on. */
  readonly below: string[];
  readonly power: Power;
}

/** More than any machine has, and few enough to look into one after the other. */
const DISKS_MAX = 64;

/** Formats that qemu-img can look into. A protocol is not a format. */
const FORMATS: ReadonlySet<string> = new Set([
  'qcow2',
  'raw',
  'qed',
  'vmdk',
  'vdi',
  'vhdx',
  'vpc',
  'parallels',
]);

/** As QEMU writes ids and the node names it makes up. */
const DEVICE = /^[A-Za-z#][A-Za-z0-9._-]{0,127}$/;

/**
 * Looks at a machine that is to be registered. `place.disks` are those that somebody described.
 *
 * @throws {Refusal} `not-a-monitor`, `host-unreachable`, `nothing-to-snapshot`, `disk-unsupported`
 */
export async function discover(place: Place): Promise<Discovered> {
  const described = place.disks;
  const sight = await firstSight(place);
  if (sight.power === 'off' && described.length === 0) {
    const advice = 'start the machine, or describe its disks';
    throw new Refusal('not-a-monitor', `nobody listens at ${place.monitor}: ${advice}`);
  }
  requirePresent(described, sight);
  if (sight.disks.every(({ readOnly }) => readOnly)) {
    throw new Refusal('nothing-to-snapshot', 'the machine has no writable disk');
  }
  return {
    monitor: place.monitor,
    disks: ledgerDisks(sight, []),
    foreignTags: foreignTags(sight, unborn()),
    below: await filesBelow(place, sight, { layers: new Map(), images: [] }),
    power: sight.power,
  };
}

/** Nothing is known of what lies there yet: whoever stays silent may be anybody. */
async function firstSight(place: Place): Promise<Sight> {
  try {
    return await look(place, 'alone');
  } catch (error) {
    if (error instanceof NotNow && error.cause instanceof MonitorTrouble && error.cause.kind === 'occupied') {
      throw new Refusal('not-a-monitor', `${error.message}, or it is no QMP monitor at all`);
    }
    throw asRefusal(error);
  }
}

/** Whoever asks over HTTP does not wait: what cannot be told now is refused, and may be asked again. */
export const asRefusal = (error: unknown): unknown =>
  error instanceof NotNow ? new Refusal('host-unreachable', error.message) : error;

/** A running QEMU knows best: a description may not contradict it. */
function requirePresent(described: readonly Disk[], { disks }: Sight): void {
  for (const { device, file } of described) {
    if (disks.some((disk) => disk.device === device && disk.file === file)) continue;
    throw new Refusal('disk-unsupported', `QEMU has no disk "${device}" with the file ${file}`);
  }
}

/**
 * Disks that somebody described, safe to open.
 *
 * @throws {Refusal} `invalid-body`, `path-not-allowed`, `disk-unsupported`
 */
export async function requireDescribed(
  files: Files,
  imageRoots: readonly string[],
  described: readonly DescribedDisk[],
): Promise<Disk[]> {
  if (described.length > DISKS_MAX) throw new Refusal('invalid-body', `at most ${DISKS_MAX} disks`);
  const disks: Disk[] = [];
  for (const { device, file: path, format } of described) {
    if (!DEVICE.test(device)) throw new Refusal('invalid-body', `"${device}" cannot be a device's name`);
    if (!FORMATS.has(format)) throw new Refusal('disk-unsupported', `"${format}" is no format of an image`);
    const file = await requireImagePath(files, imageRoots, path);
    if (disks.some((disk) => disk.device === device || disk.file === file)) {
      throw new Refusal('invalid-body', `disk "${device}" or its file ${file} is named twice`);
    }
    disks.push({ device, node: '', format, file, readOnly: false, default: null });
  }
  return disks;
}
