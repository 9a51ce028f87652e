import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Command } from './commands.ts';
import { decide } from './decide.ts';
import type { VmEvent } from './events.ts';
import { evolve } from './evolve.ts';
import { chainUnder } from './layers.ts';
import { Refusal } from './refusal.ts';
import type { CaptureMode, Strategy } from './shapes.ts';
import { RAW, registered, VDA, VDB } from './story/events.ts';
import { after } from './story/given.ts';
import type { Content } from './story/files.ts';
import { Host } from './story/host.ts';
import { pinsOf, tagOf, type Vm } from './vm.ts';

const HISTORIES = 50;

type Ask = (vm: Vm, at: number) => Command;

const which = fc.nat({ max: 9 });
const idIn = ({ snapshots }: Vm, which: number): string =>
  [...snapshots.keys()][which % Math.max(1, snapshots.size)] ?? 'nobody';
const mode = fc.constantFrom<CaptureMode>('none', 'internal', 'external', 'external');

const creates = fc
  .tuple(mode, mode, fc.constantFrom<CaptureMode>('none', 'external'))
  .map(([vda, vdb, raw]): Ask => (_, at) => ({
    type: 'CreateSnapshot',
    snapshotId: `s-${at}`,
    operationId: `${at}`,
    memory: 'none',
    limits: { snapshotsMax: 99, chainMax: 99 },
    disks: [
      { device: 'vda', mode: vda },
      { device: 'vdb', mode: vdb },
      // Once it stands on a file of ours it is a qcow2 like any other, but that does not matter here.
      { device: 'raw', mode: raw },
    ],
  }));
const loads = fc.tuple(which, fc.boolean()).map(([which, isSafe]): Ask => (vm, at) => ({
  type: 'LoadSnapshot',
  snapshotId: idIn(vm, which),
  operationId: `${at}`,
  ...(isSafe && { pin: { snapshotId: `pin-${at}`, what: 'disks' as const } }),
}));
const strategies = fc.constantFrom<Strategy>('merge', 'merge', 'merge-force', 'discard', 'discard-force');
const deletes = fc.tuple(which, strategies).map(([which, strategy]): Ask => (vm, at) => ({
  type: 'DeleteSnapshot',
  snapshotId: idIn(vm, which),
  operationId: `${at}`,
  strategy,
}));
const deletesAll = fc.constant<Ask>((_, at) => ({ type: 'DeleteAllSnapshots', operationId: `${at}` }));

const asks = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: creates },
    { weight: 5, arbitrary: loads },
    { weight: 6, arbitrary: deletes },
    { weight: 1, arbitrary: deletesAll },
  ),
  { minLength: 3, maxLength: 40, size: 'max' },
);

interface Scene {
  readonly vm: Vm;
  readonly host: Host;
  readonly events: readonly VmEvent[];
  /** What the machine read on each disk when it was asked. */
  readonly before: ReadonlyMap<string, Content>;
}

const readBy = ({ disks }: Vm, { files }: Host): ReadonlyMap<string, Content> =>
  new Map(disks.map(({ device, file }) => [device, files.read(file)]));

/** Asks, lets the host carry it out and the guest write on; looks after every event, and when all is quiet again. */
function live(steps: readonly Ask[], onEvent: (vm: Vm) => void, onQuiet: (scene: Scene) => void): void {
  let vm = after([registered({ disks: [VDA, VDB, { ...RAW, default: 'external' }] })]);
  const host = new Host(vm);
  const log: VmEvent[] = [];
  for (const [at, ask] of steps.entries()) {
    host.write(vm, at % 5);
    const before = readBy(vm, host);
    const events: VmEvent[] = [];
    for (let command: Command | null = ask(vm, at); command; command = host.work(vm)) {
      for (const event of decided(command, vm)) {
        events.push(event);
        log.push(event);
        vm = evolve(vm, { ...event, id: `event-${log.length}` });
        onEvent(vm);
      }
    }
    onQuiet({ vm, host, events, before });
  }
}

function decided(command: Command, vm: Vm): readonly VmEvent[] {
  try {
    return decide(command, structuredClone(vm));
  } catch (error) {
    if (error instanceof Refusal && !command.type.startsWith('Report')) return [];
    throw error;
  }
}

const inEveryHistory = (onEvent: (vm: Vm) => void, onQuiet: (scene: Scene) => void): void =>
  fc.assert(
    fc.property(asks, (steps) => live(steps, onEvent, onQuiet)),
    { numRuns: HISTORIES },
  );

test('after every event the layers are a forest in which all is found that the machine and the snapshots need', () => {
  inEveryHistory(
    ({ layers, disks, snapshots }) => {
      for (const { file, backing } of layers.values()) {
        expect(backing === null || layers.has(backing), `${file} stands on ${backing}`).toBe(true);
        expect(chainUnder({ layers }, file).at(-1)?.backing, `the chain of ${file} ends`).toBeNull();
      }
      for (const { file } of disks) expect([...layers.keys()]).toContain(file);
      for (const { id, status, disks } of snapshots.values()) {
        for (const { mode, file } of disks) {
          if (status === 'pending' || mode === 'none') continue;
          expect([...layers.keys()], `what ${id} holds`).toContain(file);
        }
      }
    },
    () => undefined,
  );
});

test('what the machine came with is never gone, and what nothing needs any more is', () => {
  inEveryHistory(
    ({ layers }) => {
      for (const { file } of [VDA, VDB, RAW]) expect(layers.get(file)?.origin).toBe('given');
    },
    ({ vm, host }) => {
      const known = new Map([...vm.layers].map(([file, { backing }]) => [file, backing]));
      expect(known).toEqual(host.files.backings());
    },
  );
});

test('whatever is folded or dropped, every snapshot that is left reads what it was taken of', () => {
  inEveryHistory(
    () => undefined,
    ({ vm, host }) => {
      for (const { id, disks } of vm.snapshots.values()) {
        for (const { device, mode, file = '' } of disks) {
          if (mode === 'none') continue;
          const read = mode === 'internal' ? host.files.readTag(file, tagOf(id)) : host.files.read(file);
          expect(read, `${id} on ${device}`).toEqual(host.kept.get(id)?.get(device));
        }
      }
    },
  );
});

test('whatever is folded or dropped, every backup reads what it was made of', () => {
  const made = new Map<string, Content>();
  inEveryHistory(
    () => undefined,
    ({ vm, host, events }) => {
      if (vm.backups.length === 0) made.clear();
      for (const { target, backing } of vm.backups)
        expect(host.files.read(backing)).toEqual(made.get(target));
      const frozen = [...vm.layers.keys()].filter((file) => !vm.disks.some((disk) => disk.file === file));
      const backing = frozen[events.length % Math.max(1, frozen.length)];
      if (backing === undefined || !events.some(({ type }) => type === 'SnapshotCreated')) return;
      const target = `/copies/${vm.backups.length}`;
      made.set(target, host.files.read(backing));
      vm.backups = [...vm.backups, { device: 'vda', target, backing }];
    },
  );
});

test('the machine reads what it wrote through every create and delete, and what was loaded after a load', () => {
  inEveryHistory(
    () => undefined,
    ({ vm, host, events, before }) => {
      const now = readBy(vm, host);
      const loaded = events.find(({ type }) => type === 'SnapshotLoaded')?.data as
        | { snapshotId: string }
        | undefined;
      const kept = host.kept.get(loaded?.snapshotId ?? '');
      for (const [device, content] of now) {
        expect(content, device).toEqual(kept?.get(device) ?? before.get(device));
      }
    },
  );
});

test('a load leaves one pin beside the one that it has loaded', () => {
  inEveryHistory(
    () => undefined,
    ({ vm, events }) => {
      if (!events.some(({ type }) => type === 'SnapshotLoaded')) return;
      const pins = pinsOf(vm).filter(({ id }) => id !== vm.current.id);
      expect(pins.length).toBeLessThanOrEqual(1);
    },
  );
});

test('the histories are worth looking at: they merge, push, lose, pin and replace', () => {
  const met = new Set<string>();
  for (const steps of fc.sample(asks, { numRuns: HISTORIES, seed: 1 })) {
    live(
      steps,
      () => undefined,
      ({ events }) => {
        for (const event of events) met.add(event.type);
        for (const { data } of events) {
          if (!('layers' in data) || !data.layers) continue;
          const { set, gone, tops, contents } = data.layers;
          if (contents.length > 0 && gone.length > 0) met.add('content moved');
          if (set.length > 0 && gone.length > 0) met.add('pulled');
          if (tops.length > 0 && gone.length > 0) met.add('top moved');
        }
      },
    );
  }
  for (const kind of ['SnapshotPinned', 'SnapshotDiscarded', 'content moved', 'pulled', 'top moved']) {
    expect([...met]).toContain(kind);
  }
});
