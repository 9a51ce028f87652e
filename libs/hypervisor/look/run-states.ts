import { Refusal } from '#ledger';
import type { Sight } from './sight.ts';

/** QEMU has let go of its images or is about to, or writes them itself. */
const IN_TRANSIT: ReadonlySet<string> = new Set([
  'inmigrate',
  'postmigrate',
  'finish-migrate',
  'save-vm',
  'colo',
]);

/**
 * Nothing begins beside somebody else's job or migration.
 *
 * @throws {Refusal} `machine-busy`
 */
export function requireAtRest({ busyWith, runState }: Sight): void {
  if (busyWith !== null) throw new Refusal('machine-busy', `the machine is busy: ${busyWith}`);
  if (runState !== null && IN_TRANSIT.has(runState)) {
    throw new Refusal('machine-busy', `the machine is in the run state "${runState}"`);
  }
}

/**
 * After a failed load nobody knows what the guest's memory and disks are: that is not worth a snapshot.
 *
 * @throws {Refusal} `machine-busy`
 */
export function requireWhole({ runState }: Sight): void {
  if (runState !== 'restore-vm') return;
  throw new Refusal(
    'machine-busy',
    'a load has failed on this machine: load a snapshot, or let it run, first',
  );
}

/**
 * A guest that has powered off inside a living QEMU can be given memory, but never be made to run with it.
 *
 * @throws {Refusal} `needs-power-on`
 */
export function requireResumable({ runState }: Sight): void {
  if (runState !== 'shutdown') return;
  throw new Refusal('needs-power-on', 'the guest has powered off: start its QEMU anew, then load the memory');
}
