/* Does an auditor find nothing wrong in whatever the ledger has decided? */
import * as fc from 'fast-check';
import { decide, evolve, Refusal, unborn, type VmEvent } from '#ledger';
import { expect, test } from 'vitest';
import { VmAudit } from '../../apps/ledgerctl/verify/vm-audit.ts';
import { registered } from '../../libs/ledger/story/events.ts';
import { type Move, moves } from '../../libs/ledger/story/moves.ts';

const HISTORIES = 100;

/** What is found in a history, and whether the two ever disagree on who is busy. */
function audited(steps: readonly Move[]): string[] {
  const audit = new VmAudit('vm');
  const found: string[] = [];
  let [vm, version] = [unborn(), 0];
  const tell = (event: VmEvent): void => {
    for (const { invariant, words } of audit.enter(event))
      if (invariant !== 'I19') found.push(`${invariant} ${words}`); // These stories do not tell of every start.
    version += 1;
    vm = evolve(vm, { ...event, id: `event-${version}` });
    if (audit.isBusy !== (vm.operation !== null)) found.push(`${event.type}: who is busy?`);
  };
  tell(registered());
  for (const [at, move] of steps.entries()) {
    try {
      decide(move(vm, at), structuredClone(vm)).forEach(tell);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
  return found;
}

test('an auditor finds nothing wrong in what the ledger has decided', () => {
  fc.assert(
    fc.property(moves, (steps) => void expect(audited(steps)).toEqual([])),
    { numRuns: HISTORIES },
  );
});
