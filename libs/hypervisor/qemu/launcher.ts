import type { Disk, Vm } from '#ledger';
import type { Finished, World } from '#world';
import { LAUNCHER_TIMEOUT_MS } from '../bounds.ts';

/*
 * Most loads need no new process. For the others somebody has to end a QEMU and start one, and only the operator knows
 * how his are started: two commands of his, from the worker's own configuration, never from a request.
 */

/** A program and what it is called with, split into words already: no shell ever sees them. */
export type Words = readonly [program: string, ...args: string[]];

export interface LauncherCommands {
  readonly start: Words;
  readonly stop: Words;
}

/** How a machine is to be started. */
export interface Launch {
  /** Every disk with the file that it goes on in. */
  readonly disks: readonly Disk[];
  /** Where QEMU is to wait for its memory (`-incoming`); null: it has none to wait for. */
  readonly incoming: `unix:${string}` | null;
}

type Machine = Pick<Vm, 'id' | 'name' | 'monitor'>;

/** The operator's command has failed. What it did before, nobody knows. */
export class LaunchTrouble extends Error {
  override readonly name = 'LaunchTrouble';
}

/** Starts and ends the QEMU of a machine. */
export interface Launcher {
  /**
   * Starts a QEMU that stands still (`-S`). It may not answer yet when this resolves. Throws `LaunchTrouble`.
   */
  start(machine: Machine, launch: Launch): Promise<void>;
  /** Ends the machine's QEMU at once, whatever its guest does. It may not have ended yet. Throws `LaunchTrouble`. */
  stop(machine: Machine): Promise<void>;
}

/** Is told every call and how it ended. Must not throw. */
export type LauncherTranscript = (program: string, args: readonly string[], finished: Finished) => void;

/** A launcher that is two commands. What they are to know stands in their environment. */
export function commandLauncher(
  { run }: Pick<World, 'run'>,
  { start, stop }: LauncherCommands,
  transcript: LauncherTranscript = () => undefined,
): Launcher {
  async function call([program, ...args]: Words, env: Readonly<Record<string, string>>): Promise<void> {
    const options = { timeoutMs: LAUNCHER_TIMEOUT_MS, env, leavesOthersBehind: true };
    const finished = await run(program, args, options);
    transcript(program, args, finished);
    if (finished.code === 0) return;
    const how = finished.code === null ? 'did not end by itself' : `ended with ${finished.code}`;
    throw new LaunchTrouble(`${program} ${how}: ${wordsOf(finished)}`);
  }

  return {
    start: (machine, { disks, incoming }) =>
      call(start, {
        ...nameOf(machine),
        SNAPLEDGER_VM_DISKS: JSON.stringify(disks.map(describe)),
        SNAPLEDGER_VM_INCOMING: incoming ?? '',
      }),
    stop: (machine) => call(stop, nameOf(machine)),
  };
}

const nameOf = ({ id, name, monitor }: Machine): Record<string, string> => ({
  SNAPLEDGER_VM_ID: id,
  SNAPLEDGER_VM_NAME: name,
  SNAPLEDGER_VM_MONITOR: monitor,
});

const describe = ({ device, node, format, file, readOnly }: Disk): object => ({
  ...{ device, node, format, file, readOnly },
});

const WORDS_CHARACTERS_MAX = 1_000;

const wordsOf = ({ stdout, stderr }: Finished): string =>
  (stderr.trim() || stdout.trim() || 'it said nothing').slice(-WORDS_CHARACTERS_MAX);
