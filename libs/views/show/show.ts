import type { DatabaseSync } from 'node:sqlite';
import { Histories } from './history.ts';
import { Lineages, type Shelves } from './lineage.ts';
import { Members } from './members.ts';
import { OperationLists } from './operations.ts';
import { Places } from './places.ts';
import { SnapshotLists } from './snapshot-list.ts';
import { Snapshots } from './snapshots.ts';
import { Machines } from './vms.ts';

/** Everything that can be asked of an open file. */
export class Showing {
  readonly shelves: Shelves;
  readonly lineages: Lineages;
  readonly snapshotLists: SnapshotLists;
  readonly machines: Machines;
  readonly operations: OperationLists;
  readonly histories: Histories;

  /** The file must have all of its indexes. */
  constructor(db: DatabaseSync) {
    this.shelves = { places: new Places(db), members: new Members(db), snapshots: new Snapshots(db) };
    this.lineages = new Lineages(this.shelves);
    this.snapshotLists = new SnapshotLists(db, this.shelves);
    this.machines = new Machines(db, { places: this.shelves.places, lineages: this.lineages });
    this.operations = new OperationLists(db);
    this.histories = new Histories(db, this.shelves.places);
  }
}
