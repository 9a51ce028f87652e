import type { Command } from './commands.ts';
import { decide } from './decide.ts';
import type { VmEvent } from './events.ts';
import { evolve } from './evolve.ts';
import type { OpenOperation, Vm } from './vm.ts';

/** The VM as a command would leave it, and what would be recorded for that. */
export interface Afterwards {
  readonly vm: Vm;
  readonly events: readonly VmEvent[];
  /** What a worker would have to do for it. Null: it needs no machine, and may come while something else is done. */
  readonly operation: OpenOperation | null;
}

/**
 * What a command, or a report, would come to if it were given now. Nothing is recorded, and `vm` stays as it is.
 *
 * @throws {Refusal} exactly what `decide` throws
 */
export function afterwards(vm: Readonly<Vm>, command: Command): Afterwards {
  const events = decide(command, vm);
  const after = events.reduce((so, event) => evolve(so, { ...event, id: '' }), copyOf(vm));
  const isNew = after.operation?.id !== vm.operation?.id;
  return { vm: after, events, operation: isNew ? after.operation : null };
}

/** `evolve` changes the state that it is given: everything that it may change is copied. */
const copyOf = (vm: Readonly<Vm>): Vm => ({
  ...vm,
  layers: new Map(vm.layers),
  snapshots: new Map([...vm.snapshots].map(([id, snapshot]) => [id, { ...snapshot }])),
  usedIds: new Set(vm.usedIds),
  loadIds: new Set(vm.loadIds),
  operation: vm.operation && { ...vm.operation },
});

/**
 * What somebody wants, in their own words: without the ids that were made up for it, and the names that follow from
 * them. `isIdGiven` says whether they named the new snapshot's id themselves.
 */
export function wishIn(request: VmEvent, isIdGiven: boolean): object {
  if (request.type === 'SnapshotRequested') {
    const { operationId: _, plan: __, snapshotId, name, ...wish } = request.data;
    const ids = { ...(isIdGiven && { snapshotId }), ...(wish.nameGiven && { name }) };
    return { type: request.type, ...wish, ...ids };
  }
  if (request.type === 'LoadRequested') {
    const { operationId: _, plan: __, pin, ...wish } = request.data;
    return { type: request.type, ...wish, pin: pin?.what ?? 'none' };
  }
  if (request.type === 'DeleteRequested') {
    const { operationId: _, plan: __, ...wish } = request.data;
    return { type: request.type, ...wish };
  }
  return { ...request };
}
