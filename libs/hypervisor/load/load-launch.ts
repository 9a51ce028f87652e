import { Refusal } from '#ledger';
import type { Start } from '../journal.ts';
import type { LoadAsk } from './load-check.ts';
import type { Place } from '../place.ts';
import { diskOf, type Power, type Sight } from '../look/sight.ts';

/* Most loads are done in the living process, or in the images of a machine that is off. Some need a new QEMU. */

/** When the new QEMU comes: before the load, which it then does, or after, on disks that are loaded; or not at all. */
export type Launch = Start['launch'];

/** What of a load's plan decides whether it needs a new QEMU. */
export interface LaunchNeeds {
  /** The file of its own that the memory is in. */
  readonly memoryFile: Start['memoryFile'];
  /** A disk whose image must be exchanged and cannot be while QEMU lives; null when there is none. */
  readonly fixed: string | null;
}

/**
 * When the load needs a new QEMU.
 *
 * @throws {Refusal} `needs-power-off`, `needs-power-on` when nobody here can start one, or when that would not do
 */
export function launchFor(
  { launcher }: Pick<Place, 'launcher'>,
  { withMemory, resume }: LoadAsk,
  { memoryFile, fixed }: LaunchNeeds,
  power: Power,
): Launch {
  const isStream = memoryFile?.format === 'stream';
  if (fixed !== null && withMemory && !isStream)
    throw new Refusal('needs-power-off', `${whyFixed(fixed)}: ${BLOCKDEV}`);
  const why = whyNeeded({ isStream, withMemory, fixed, isToRun: resume === 'running' }, power);
  if (why === null) return undefined;
  if (!launcher) throw new Refusal(power === 'off' ? 'needs-power-on' : 'needs-power-off', why);
  return power === 'off' && withMemory && !isStream ? 'before' : 'after';
}

interface Facts {
  readonly isStream: boolean;
  readonly withMemory: boolean;
  readonly fixed: string | null;
  readonly isToRun: boolean;
}

function whyNeeded({ isStream, withMemory, fixed, isToRun }: Facts, power: Power): string | null {
  if (isStream) return STREAM;
  if (power === 'off') return withMemory || isToRun ? OFF : null;
  return fixed === null ? null : `${whyFixed(fixed)}, and ${NOBODY}: ${BLOCKDEV}`;
}

const NOBODY = 'nobody here can start one (--launcher-start, --launcher-stop)';
const STREAM = `the memory was saved as a stream: only a new QEMU can take it up (-incoming), and ${NOBODY}; or load the disks only (disksOnly)`;
const OFF = `the machine is off: start it, or load the disks only (disksOnly) and leave it off; a QEMU would do, and ${NOBODY}`;
const BLOCKDEV = 'power the machine off, or start it with -blockdev';

const whyFixed = (device: string): string =>
  `disk "${device}" was given to QEMU without a node name (-drive), so its image cannot be exchanged`;

/** In words, what the plan says of it, around what it says of the disks. */
export const launchWords = (launch: Launch, power: Power): { first: string[]; last: string[] } => ({
  first: [
    ...(launch === 'before' ? ['start a QEMU for the machine'] : []),
    ...(launch === 'after' && power !== 'off' ? ['end the QEMU of the machine'] : []),
  ],
  last: launch === 'after' ? ['start a new QEMU on the disks that are loaded by then'] : [],
});

/** Whether no other image can be put under the device: it has no name in QEMU's object tree, or its image has none. */
export function isFixed(sight: Sight, device: string): boolean {
  const disk = diskOf(sight, device);
  return disk !== undefined && (disk.qdev === null || disk.node.startsWith('#'));
}
