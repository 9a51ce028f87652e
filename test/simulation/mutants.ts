import { Fenced, type Hypervisor, type Journal, NotNow } from '#hypervisor';
import { type OpenOperation, type Report, tagOf, type Vm } from '#ledger';
import type { Meddle } from './simulated-ledgerd.ts';
import type { Mislead } from './views-on-disk.ts';

/** The hypervisor with one virtue less each: whether somebody notices is what they are for. */
export const MUTANTS: Readonly<Record<string, Meddle>> = {
  'says that a create is done when nobody knows': (hypervisor) =>
    reporting(hypervisor, async (vm, operation, journal) => {
      try {
        return await hypervisor.carryOut(vm, operation, journal);
      } catch (error) {
        if (!(error instanceof NotNow) || operation.kind !== 'create' || !operation.started) throw error;
        return created(vm, operation);
      }
    }),

  'says that all is undone when something is left': (hypervisor) =>
    reporting(hypervisor, async (vm, operation, journal) => {
      const report = await hypervisor.carryOut(vm, operation, journal);
      if (report.type !== 'ReportFailed') return report;
      return { ...report, failed: { ...report.failed, outcome: 'undone', leftovers: [] } };
    }),

  'acts before the log knows of it': (hypervisor) =>
    reporting(hypervisor, (vm, operation, journal) =>
      hypervisor.carryOut(vm, operation, { ...journalOf(journal), begin: () => Promise.resolve() }),
    ),

  'does not care that somebody else has begun': (hypervisor) =>
    reporting(hypervisor, (vm, operation, journal) =>
      hypervisor.carryOut(
        vm,
        { ...operation, started: null },
        { ...journalOf(journal), begin: unfenced(journal) },
      ),
    ),

  'forgets to load': (hypervisor) =>
    reporting(hypervisor, async (vm, operation, journal) => {
      if (operation.kind !== 'load') return hypervisor.carryOut(vm, operation, journal);
      const loaded = { operationId: operation.id, runs: false, steps: [], transcriptDigest: '' };
      return { type: 'ReportLoaded', loaded };
    }),

  'forgets a disk of a delete': (hypervisor) =>
    reporting(hypervisor, async (vm, operation, journal) => {
      const seen = operation.kind === 'delete' ? { ...vm, disks: vm.disks.slice(0, 1) } : vm;
      return hypervisor.carryOut(withoutOtherDisks(seen), operation, journal);
    }),
};

/** What the views may mishear, each in one way. */
export const MISLEADS: Readonly<Record<string, Mislead>> = {
  'do not hear which snapshot another one came from': (record) =>
    record.replace(/"parentId":"[^"]+"/, '"parentId":null'),

  'take what is held for undone': (record) => record.replace('"outcome":"held"', '"outcome":"undone"'),

  'do not hear that an operation has begun': (record) =>
    record.replace('"type":"OperationStarted"', '"type":"HoldReleased"'),

  'hear of an event that no program knows': (record) =>
    record.replace('"type":"SnapshotCreated"', '"type":"SnapshotTeleported"'),
};

const reporting = (hypervisor: Hypervisor, carryOut: Hypervisor['carryOut']): Hypervisor => ({
  ...hypervisor,
  carryOut,
});

/** A journal may be an object of a class: its methods are not there to be spread. */
const journalOf = (journal: Journal): Journal => ({
  disks: (found) => journal.disks(found),
  begin: (start) => journal.begin(start),
  pinned: (pinned) => journal.pinned(pinned),
  loaded: (content) => journal.loaded(content),
  progress: (now) => journal.progress(now),
});

const unfenced =
  (journal: Journal): Journal['begin'] =>
  async (start) => {
    try {
      await journal.begin(start);
    } catch (error) {
      if (!(error instanceof Fenced)) throw error;
    }
  };

/** A delete looks for a tag where the ledger says that it is. */
const withoutOtherDisks = (vm: Readonly<Vm>): Vm => ({
  ...vm,
  snapshots: new Map(
    [...vm.snapshots].map(([id, snapshot]) => [
      id,
      {
        ...snapshot,
        evidence: snapshot.evidence.filter(({ device }) => vm.disks.some((disk) => disk.device === device)),
      },
    ]),
  ),
});

const created = (vm: Readonly<Vm>, operation: Extract<OpenOperation, { kind: 'create' }>): Report => ({
  type: 'ReportCreated',
  created: {
    operationId: operation.id,
    vmState: operation.started?.vmState ?? 'running',
    memory: { mode: operation.started?.memory ?? 'none' },
    consistency: 'crash',
    evidence: vm.disks.map(({ device, file }) => ({
      device,
      file,
      tag: tagOf(operation.snapshotId),
      nativeId: '1',
      date: 0,
      vmClockNs: 0,
      vmStateSizeBytes: 0,
    })),
    steps: [],
    transcriptDigest: '',
  },
});
