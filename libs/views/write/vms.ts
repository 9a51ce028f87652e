import type { DatabaseSync } from 'node:sqlite';
import {
  type DataOf,
  type Disk,
  driftConditions,
  heldAfterLoad,
  heldAfterRemoval,
  heldBy,
  type Hold,
  type Labels,
  type LayerChange,
} from '#ledger';
import type { Head } from './heads.ts';
import { one } from '../sql.ts';
import type { Tables, ViewTables } from './tables.ts';
import { type Handlers, type Happening, ignore, type View } from './view.ts';

/**
 * What is known of each machine. `vms` says what is so now and finds them; `machines` and `holds` say what was so
 * from each version on until the next row.
 */
export const VMS: ViewTables = {
  name: 'vms',
  version: 3,
  tables: `
    CREATE TABLE vms (
      vm INTEGER PRIMARY KEY, name TEXT NOT NULL, forgotten_version INTEGER
    ) STRICT;
    CREATE TABLE machines (
      vm INTEGER NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL, host TEXT NOT NULL,
      monitor TEXT NOT NULL, guest_agent TEXT, labels TEXT NOT NULL, disks TEXT NOT NULL,
      PRIMARY KEY (vm, version)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE holds (
      vm INTEGER NOT NULL, version INTEGER NOT NULL, hold TEXT,
      PRIMARY KEY (vm, version)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE drifts (
      vm INTEGER NOT NULL, version INTEGER NOT NULL, conditions TEXT NOT NULL,
      PRIMARY KEY (vm, version)
    ) STRICT, WITHOUT ROWID`,
  indexes: ['CREATE INDEX vms_by_name ON vms (name, vm) WHERE forgotten_version IS NULL'],
};

/** A row of `machines`. */
export interface MachineRow {
  readonly name: string;
  readonly host: string;
  readonly monitor: string;
  readonly guest_agent: string | null;
  readonly labels: string;
  readonly disks: string;
}

/** A row of `holds`: a `Hold` as JSON, or null when nothing holds the VM any more. */
export interface HoldRow {
  readonly hold: string | null;
}

/** A row of `drifts`: what the last look found, as conditions in JSON. */
export interface DriftRow {
  readonly conditions: string;
}

interface Machine {
  readonly name: string;
  readonly host: string;
  readonly monitor: string;
  readonly guestAgent: string | null;
  readonly labels: Labels;
  readonly disks: readonly Disk[];
}

type Failure = DataOf<'CreateFailed' | 'LoadFailed' | 'DeleteFailed'>;

const statements = (db: DatabaseSync) => ({
  insert: db.prepare('INSERT INTO vms VALUES (?, ?, NULL)'),
  rename: db.prepare('UPDATE vms SET name = ? WHERE vm = ?'),
  forget: db.prepare('UPDATE vms SET forgotten_version = ? WHERE vm = ?'),
  machine: db.prepare('INSERT INTO machines VALUES (?, ?, ?, ?, ?, ?, ?, ?)'),
  lastMachine: db.prepare('SELECT * FROM machines WHERE vm = ? ORDER BY version DESC LIMIT 1'),
  hold: db.prepare('INSERT INTO holds VALUES (?, ?, ?)'),
  drift: db.prepare('INSERT INTO drifts VALUES (?, ?, ?)'),
  lastHold: db.prepare('SELECT hold FROM holds WHERE vm = ? ORDER BY version DESC LIMIT 1'),
});

export class Vms implements View {
  readonly #sql: ReturnType<typeof statements>;

  constructor({ db }: Tables) {
    this.#sql = statements(db);
  }

  readonly on: Handlers = {
    VmRegistered: (data, at) => {
      this.#sql.insert.run(at.head.vm, data.name);
      this.#write(data, at);
    },
    VmChanged: (data, at) => this.#changed(data, at),
    DisksChanged: ({ disks }, at) => {
      const machine = this.#machine(at.head);
      if (machine) this.#write({ ...machine, disks }, at);
    },
    VmForgotten: (_data, { head, version }) => {
      this.#sql.forget.run(version, head.vm);
    },
    SnapshotRequested: ignore,
    LoadRequested: ignore,
    DeleteRequested: ignore,
    OperationStarted: ignore,
    SnapshotPinned: ({ layers }, at) => this.#goOn(layers, at),
    ContentLoaded: ({ layers }, at) => this.#goOn(layers, at),
    SnapshotCreated: ({ layers }, at) => this.#goOn(layers, at),
    CreateFailed: (data, at) => this.#failed(data, false, at),
    SnapshotLoaded: ({ layers }, at) => {
      this.#goOn(layers, at);
      this.#hold(at, heldAfterLoad);
    },
    LoadFailed: (data, at) => this.#failed(data, true, at),
    SnapshotDeleted: ({ layers }, at) => this.#goOn(layers, at),
    DeleteFailed: (data, at) => this.#failed(data, false, at),
    SnapshotDiscarded: ignore,
    SnapshotRenamed: ignore,
    SnapshotDescribed: ignore,
    SnapshotLabelled: ignore,
    SnapshotProtected: ignore,
    SnapshotUnprotected: ignore,
    SnapshotRetired: ignore,
    SnapshotUnretired: ignore,
    LeftoverRemoved: (data, at) => this.#hold(at, (hold) => heldAfterRemoval(hold, data)),
    HoldReleased: (_data, at) => this.#hold(at, () => null),
    DriftFound: (drift, { head, version }) => {
      this.#sql.drift.run(head.vm, version, JSON.stringify(driftConditions(drift)));
    },
    RepairStarted: ignore,
    SnapshotAdopted: ignore,
  };

  settle(): void {
    // Every row is written at once: what happens to machines is rare.
  }

  #changed({ name, labels, monitor, guestAgent, host, defaults }: DataOf<'VmChanged'>, at: Happening): void {
    const machine = this.#machine(at.head);
    if (!machine) return;
    if (name !== undefined) this.#sql.rename.run(name, at.head.vm);
    const modes = new Map(Object.entries(defaults ?? {}));
    this.#write(
      {
        name: name ?? machine.name,
        labels: labels ?? machine.labels,
        monitor: monitor ?? machine.monitor,
        guestAgent: guestAgent === undefined ? machine.guestAgent : guestAgent,
        host: host ?? machine.host,
        disks: machine.disks.map((disk) => ({ ...disk, default: modes.get(disk.device) ?? disk.default })),
      },
      at,
    );
  }

  /** The machine writes on other files from here on. */
  #goOn(layers: LayerChange | undefined, at: Happening): void {
    const tops = new Map(layers?.tops.map((top) => [top.device, top]));
    const machine = tops.size > 0 && this.#machine(at.head);
    if (!machine) return;
    this.#write(
      { ...machine, disks: machine.disks.map((disk) => ({ ...disk, ...tops.get(disk.device) })) },
      at,
    );
  }

  #failed(data: Failure, isLoad: boolean, at: Happening): void {
    this.#goOn(data.layers, at);
    if (data.outcome === 'held') this.#hold(at, (earlier) => heldBy(data, isLoad, earlier));
  }

  #hold({ head, version }: Happening, after: (hold: Hold | null) => Hold | null): void {
    const before = one<HoldRow>(this.#sql.lastHold, head.vm)?.hold ?? null;
    const hold = after(before === null ? null : (JSON.parse(before) as Hold));
    const text = hold && JSON.stringify(hold);
    if (text !== before) this.#sql.hold.run(head.vm, version, text);
  }

  #machine(head: Head): Machine | null {
    const row = one<MachineRow>(this.#sql.lastMachine, head.vm);
    if (!row) return null;
    const labels = JSON.parse(row.labels) as Labels;
    const disks = JSON.parse(row.disks) as Disk[];
    return { ...row, guestAgent: row.guest_agent, labels, disks };
  }

  #write({ name, host, monitor, guestAgent, labels, disks }: Machine, { head, version }: Happening): void {
    this.#sql.machine.run(
      ...[head.vm, version, name, host, monitor, guestAgent],
      ...[JSON.stringify(labels), JSON.stringify(disks)],
    );
  }
}
