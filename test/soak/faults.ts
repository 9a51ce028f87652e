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

/** How it went; an owner may be refused, while the machine is at something. */
export interface Struck {
  readonly fault: Fault;
  readonly isDone: boolean;
  /** What must not happen: somebody could not be started again. */
  readonly wrong: readonly string[];
}

/** Resolves when it is over. */
export async function strike(shaken: Shaken, fault: Fault, chance: Chance): Promise<Struck> {
  try {
    return { fault, isDone: await done(shaken, fault, chance), wrong: [] };
  } catch (error) {
    return { fault, isDone: false, wrong: [`${fault}: ${String(error)}`] };
  }
}

async function done({ ledgerd, machines, watchers }: Shaken, fault: Fault, chance: Chance): Promise<boolean> {
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
      return unlessRefused(machine.pause(MEDDLE_MS));
    case 'an owner meddles':
      return unlessRefused(machine.meddle(MEDDLE_MS));
  }
  return fault satisfies never;
}

const unlessRefused = (doing: Promise<void>): Promise<boolean> =>
  doing.then(
    () => true,
    () => false, // QEMU refuses while a job works on the disk.
  );
