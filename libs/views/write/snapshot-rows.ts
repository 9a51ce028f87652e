import type { StatementSync } from 'node:sqlite';
import type { DataOf } from '#ledger';
import type { Known } from './known.ts';
import type { Rows, Tables } from './tables.ts';

/** A snapshot that was asked for, or that a load has made. */
export interface Asked {
  readonly vm: number;
  readonly known: Known;
  readonly parent: number;
  readonly recordedAt: string;
  readonly data: Pick<DataOf<'SnapshotRequested'>, 'name' | 'description' | 'labels' | 'memory' | 'disks'>;
}

/** What its capture has come to, and the version that says so. */
export interface Captured extends Pick<
  DataOf<'SnapshotCreated'>,
  'vmState' | 'consistency' | 'memory' | 'evidence'
> {
  readonly version: number;
}

/** created_version, vm_state, consistency, memory, files. */
type Capture = readonly [number, string, string, string, string];
const NOT_YET = [null, null, null, null, null] as const;

/** Writes the table `snapshots`. */
export class SnapshotRows {
  readonly #tables: Tables;
  readonly #rows: Rows;
  readonly #capture: StatementSync;
  /** Those asked for since the last commit: most are captured before the next, and one row says it all. */
  readonly #unwritten = new Map<string, Asked>();

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#rows = tables.rows('snapshots', 16);
    this.#capture = tables.db.prepare(`
      UPDATE snapshots SET created_version = ?, vm_state = ?, consistency = ?, memory = ?, files = ?
      WHERE vm = ? AND number = ?`);
  }

  asked(asked: Asked): void {
    this.#unwritten.set(asked.known.id, asked);
  }

  captured(vm: number, { id, number }: Known, captured: Captured): void {
    const { version, vmState, consistency, evidence } = captured;
    const { config: _, ...memory } = captured.memory; // For the worker, and for those who read the log.
    const files = JSON.stringify(evidence.map(({ device, file }) => ({ device, file })));
    const capture: Capture = [version, vmState, consistency, JSON.stringify(memory), files];
    const asked = this.#unwritten.get(id);
    if (asked) return this.#takeDown(asked, capture);
    this.#tables.search();
    this.#capture.run(...capture, vm, number);
  }

  settle(): void {
    for (const asked of this.#unwritten.values()) this.#takeDown(asked, NOT_YET);
  }

  #takeDown({ vm, known, parent, recordedAt, data }: Asked, capture: Capture | typeof NOT_YET): void {
    const { name, description, memory = 'none' } = data;
    const disks = data.disks.map(({ device, mode }) => ({ device, mode }));
    const said = [name, description, JSON.stringify(data.labels), JSON.stringify(disks), memory];
    this.#rows.add(vm, known.number, known.id, recordedAt, parent, ...said, known.implicit, ...capture);
    this.#unwritten.delete(known.id);
  }
}
