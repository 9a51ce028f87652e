import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Command } from './commands.ts';
import { decide } from './decide.ts';
import { VmEvent, type VmEventType } from './events.ts';
import { evolve } from './evolve.ts';
import { Refusal } from './refusal.ts';
import { registered } from './story/events.ts';
import { frozen } from './story/frozen.ts';
import { after, fromLog } from './story/given.ts';
import { LineageModel } from './story/model.ts';
import { type Move, moves, SNAPSHOTS_MAX } from './story/moves.ts';
import { unborn, type Vm } from './vm.ts';

const HISTORIES = 30;

interface Step {
  readonly command: Command;
  /** Null: refused. */
  readonly events: readonly VmEvent[] | null;
  readonly vm: Vm;
  readonly log: readonly VmEvent[];
}

/** Lives through the moves: each is decided on a state that cannot be changed, then evolved into the next. */
function live(steps: readonly Move[], look: (step: Step) => void): readonly VmEvent[] {
  const log: VmEvent[] = [registered()];
  const asked: Command[] = [];
  let vm = after(log);
  for (const [at, move] of steps.entries()) {
    const command = frozen(move(vm, at));
    asked.push(command);
    try {
      const events = decided(command, vm);
      for (const event of events ?? []) {
        log.push(frozen(event));
        vm = evolve(vm, { ...event, id: `event-${log.length}` });
      }
      look({ command, events, vm, log });
    } catch (error) {
      throw new Error(`after ${JSON.stringify(asked, null, 1)}`, { cause: error });
    }
  }
  return log;
}

function decided(command: Command, vm: Vm): readonly VmEvent[] | null {
  try {
    return decide(command, frozen(structuredClone(vm)));
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

const inEveryHistory = (look: () => (step: Step) => void): void =>
  fc.assert(
    fc.property(moves, (steps) => void live(steps, look())),
    { numRuns: HISTORIES },
  );

test('nothing that can be asked breaks the ledger, and what it is shown it leaves as it was', () => {
  inEveryHistory(
    () =>
      ({ vm }) =>
        void expect(vm.life).toBe('registered'),
  );
});

test('the histories are worth looking at: they meet every event but the end of the VM, and every status', () => {
  const met = new Set<string>();
  for (const steps of fc.sample(moves, { numRuns: 4 * HISTORIES, seed: 1 })) {
    const log = live(steps, ({ vm }) => {
      for (const { status } of vm.snapshots.values()) met.add(status);
    });
    for (const { type } of log) met.add(type);
  }
  const types: string[] = VmEvent.options.map(({ shape }) => shape.type.value);
  const statuses = ['pending', 'complete', 'deleting', 'retired', 'lost', 'suspect'];
  expect([...met, 'VmForgotten'].sort()).toEqual([...types, ...statuses].sort());
});

test('lineage is a forest, and the present is in it', () => {
  inEveryHistory(() => ({ vm }) => {
    for (const { id } of vm.snapshots.values()) expect(rootOf(vm, id), id).toBeNull();
    expect(vm.current.id === null || vm.snapshots.has(vm.current.id)).toBe(true);
  });
});

/** Null, in not more steps than there are snapshots; the id where the way ends otherwise. */
function rootOf(vm: Vm, id: string): string | null {
  let at: string | null = id;
  for (let steps = 0; at !== null && steps < vm.snapshots.size; steps += 1) {
    const snapshot: { parentId: string | null } | undefined = vm.snapshots.get(at);
    if (!snapshot) return at;
    at = snapshot.parentId;
  }
  return at;
}

test('parents and the present are what a second, simpler telling says', () => {
  inEveryHistory(() => {
    const model = new LineageModel();
    return ({ command, events, vm }) => {
      if (events && events.length > 0) model.accepted(command);
      expect(vm.current.id).toBe(model.current);
      expect(new Map([...vm.snapshots.values()].map(({ id, parentId }) => [id, parentId]))).toEqual(
        model.parents,
      );
    };
  });
});

test('the parent of a new snapshot is the present at the moment of the request', () => {
  inEveryHistory(() => {
    let current: string | null = null;
    return ({ events, vm }) => {
      for (const { type, data } of events ?? []) {
        if (type === 'SnapshotRequested') expect(data.parentId).toBe(current);
      }
      current = vm.current.id;
    };
  });
});

test('every request is answered exactly once, and one at a time', () => {
  inEveryHistory(() => {
    let open: string | null = null;
    const answered = new Set<string>();
    return ({ events, vm }) => {
      for (const event of events ?? []) {
        const asked = operationIn(REQUESTS, event);
        if (asked !== null) {
          expect(open).toBeNull();
          open = asked;
        }
        const answer = operationIn(ANSWERS, event);
        if (answer === null) continue;
        expect(answer).toBe(open);
        expect(answered).not.toContain(answer);
        answered.add(answer);
        open = null;
      }
      expect(vm.operation?.id ?? null).toBe(open);
    };
  });
});

const REQUESTS: readonly VmEventType[] = ['SnapshotRequested', 'LoadRequested', 'DeleteRequested'];
const ANSWERS: readonly VmEventType[] = [
  'SnapshotCreated',
  'SnapshotLoaded',
  'SnapshotDeleted',
  'CreateFailed',
  'LoadFailed',
  'DeleteFailed',
];

/** The operation of an event of these types. */
const operationIn = (types: readonly VmEventType[], { type, data }: VmEvent): string | null =>
  types.includes(type) && 'operationId' in data ? data.operationId : null;

test('a name means at most one live snapshot, and no foreign tag when it is given', () => {
  inEveryHistory(() => ({ events, vm }) => {
    const names = [...vm.snapshots.values()].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { type, data } of events ?? []) {
      if (type !== 'SnapshotRequested' && type !== 'SnapshotRenamed') continue;
      expect(vm.foreignTags.map(({ tag }) => tag)).not.toContain(data.name);
    }
  });
});

test('an id is given once', () => {
  inEveryHistory(() => ({ log }) => {
    const ids = log.flatMap(({ type, data }) =>
      type === 'SnapshotRequested' || type === 'SnapshotPinned' || type === 'SnapshotAdopted'
        ? [data.snapshotId]
        : [],
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});

test('no more live snapshots than are allowed, and none of them protected goes', () => {
  inEveryHistory(() => {
    let guarded = new Set<string>();
    return ({ vm }) => {
      const named = [...vm.snapshots.values()].filter(
        ({ implicit, nativeTag }) => !implicit && nativeTag === undefined,
      );
      expect(named.length).toBeLessThanOrEqual(SNAPSHOTS_MAX);
      for (const id of guarded) expect([...vm.snapshots.keys()]).toContain(id);
      const kept = [...vm.snapshots.values()].filter(
        ({ isProtected, status }) => isProtected && status === 'complete',
      );
      guarded = new Set(kept.map(({ id }) => id));
    };
  });
});

test('a held VM records nothing but what a load, a release and the worker say', () => {
  inEveryHistory(() => {
    let wasHeld = false;
    return ({ events, vm }) => {
      const allowed = [
        'LoadRequested',
        'OperationStarted',
        'ContentLoaded',
        'SnapshotLoaded',
        'LoadFailed',
        'LeftoverRemoved',
        'HoldReleased',
        'DisksChanged',
        'DriftFound',
      ];
      if (wasHeld) for (const { type } of events ?? []) expect(allowed).toContain(type);
      wasHeld = vm.hold !== null;
    };
  });
});

test('what was left is named until it is removed or the VM is released', () => {
  inEveryHistory(() => {
    let known: readonly string[] = [];
    return ({ events, vm }) => {
      const isLet = (events ?? []).some(({ type }) => type === 'LeftoverRemoved' || type === 'HoldReleased');
      const named = (vm.hold?.leftovers ?? []).map(({ device, tag }) => `${device} ${tag}`);
      if (!isLet) expect(named).toEqual(expect.arrayContaining([...known]));
      expect(new Set(named).size).toBe(named.length);
      known = named;
    };
  });
});

test('the log read back tells the same story: what is folded from it is what was known', () => {
  fc.assert(
    fc.property(moves, (steps) => {
      let last = after([registered()]);
      const log = live(steps, ({ vm }) => void (last = vm));
      const again = log.reduce(
        (vm, event, at) => evolve(vm, { ...fromLog(event), id: `event-${at + 1}` }),
        unborn(),
      );
      expect({ ...again, operation: null }).toEqual({ ...last, operation: null });
      expect(again.operation?.id).toBe(last.operation?.id);
    }),
    { numRuns: HISTORIES },
  );
});
