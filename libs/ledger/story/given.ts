import { expect } from 'vitest';
import type { Command } from '../commands.ts';
import { decide } from '../decide.ts';
import type { VmEvent } from '../events.ts';
import { evolve } from '../evolve.ts';
import { readVmEvent, SCHEMA_VERSION } from '../read.ts';
import { Refusal, type RefusalCode, type RefusalDetails } from '../refusal.ts';
import { unborn, type Vm } from '../vm.ts';
import { registered, type Told } from './events.ts';

/** Test-only. How this room's tests read: `given(what happened).when(what is asked).records(what happens)`. */
export const given = (...history: readonly Told[]) => {
  const events = history.flat();
  return whenever(after(events[0]?.type === 'VmRegistered' ? events : [registered(), ...events]));
};

/** The same for a VM nobody has heard of. */
export const givenNothing = () => whenever(unborn());

const whenever = (vm: Vm) => ({ vm, when: (command: Command) => outcome(command, vm) });

const outcome = (command: Command, vm: Vm) => ({
  records(...expected: readonly Told[]): void {
    const events = undisturbed(vm, () => decide(command, vm));
    expect(events).toEqual(expected.flat());
    for (const event of events) expect(fromLog(event)).toEqual(event);
  },
  refuses(code: RefusalCode, details?: RefusalDetails): void {
    const refusal = undisturbed(vm, () => refusalOf(command, vm));
    expect(refusal.code).toBe(code);
    if (details) expect(refusal.details).toEqual(details);
  },
});

/** What a command is refused with. Fails when it is not, or when it breaks. */
export function refusalOf(command: Command, vm: Vm): Refusal {
  try {
    const events = decide(command, vm);
    return expect.fail(`not refused: ${events.map(({ type }) => type).join(', ') || 'nothing to change'}`);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

/** Deciding looks at the state and never touches it, whatever comes of it. */
function undisturbed<T>(vm: Vm, look: () => T): T {
  const before = structuredClone(vm);
  const seen = look();
  expect(vm).toEqual(before);
  return seen;
}

/** The event as a program sees it that reads the log later. */
export const fromLog = ({ type, data }: VmEvent): VmEvent =>
  readVmEvent(type, SCHEMA_VERSION, JSON.parse(JSON.stringify(data)));

export const after = (events: readonly VmEvent[], vm = unborn()): Vm =>
  events.reduce((vm, event, at) => evolve(vm, { ...event, id: `event-${at}` }), vm);

/** The VM after these commands, each decided on what came of those before it. None may be refused. */
export const played = (...commands: readonly (Command | readonly Command[])[]): Vm =>
  commands.flat().reduce((vm, command) => after(decide(command, vm), vm), after([registered()]));

/** Who descends from whom, by id. */
export const lineageOf = ({ snapshots }: Vm): Record<string, string | null> =>
  Object.fromEntries([...snapshots.values()].map(({ id, parentId }) => [id, parentId]));
