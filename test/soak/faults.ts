/* What happens to ledgerd and its machines while they work. */
import type { Chance } from '../simulation/chance.ts';
import type { Ledgerd } from './ledgerd.ts';
import type { SoakMachine } from './machine.ts';
import type { Watcher } from './watcher.ts';

const HANG_MS = 1_000;
const MEDDLE_MS = 700;

export const FAULTS = [
  'ledgerd dies',
  'a QEMU dies',
  'a QEMU hangs',
  'a watcher is cut off',
  'an owner pauses',
  'an owner meddles',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Shaken {
  readonly ledgerd: Ledgerd;
  readonly machines: readonly SoakMachine[];
  readonly watchers: readonly Watcher[];
}

/** Resolves when it is over; whether it could be done. An owner may be refused: the machine is at something. */
export async function strike(
  { ledgerd, machines, watchers }: Shaken,
  fault: Fault,
  chance: Chance,
): Promise<boolean> {
  if (fault === 'ledgerd dies') {
    await ledgerd.die();
    return true;
  }
  if (fault === 'a watcher is cut off') {
    chance.pick(watchers)?.cut();
    return true;
  }
  const machine = chance.pick(machines.filter(({ isInTrouble }) => !isInTrouble));
  if (!machine) return false;
  machine.isInTrouble = true;
  try {
    return await inTrouble(machine, fault);
  } finally {
    machine.isInTrouble = false;
  }
}

type OfMachine = Exclude<Fault, 'ledgerd dies' | 'a watcher is cut off'>;

async function inTrouble(machine: SoakMachine, fault: OfMachine): Promise<boolean> {
  switch (fault) {
    case 'a QEMU dies':
      await machine.die();
      return true;
    case 'a QEMU hangs':
      await machine.hang(HANG_MS);
      return true;
    case 'an owner pauses':
      return done(machine.pause(MEDDLE_MS));
    case 'an owner meddles':
      return done(machine.meddle(MEDDLE_MS));
  }
  return fault satisfies never;
}

const done = (doing: Promise<void>): Promise<boolean> =>
  doing.then(
    () => true,
    () => false, // QEMU refuses while a job works on the disk.
  );
