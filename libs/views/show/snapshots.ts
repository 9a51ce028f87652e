import type { DatabaseSync } from 'node:sqlite';
import type { CaptureMode, Consistency, Labels, VmState } from '#ledger';
import type { MemoryView, SnapshotDiskView, SnapshotStanding, SnapshotView } from '../shapes.ts';
import { one } from '../sql.ts';
import type { Place } from './places.ts';

interface SnapshotRow {
  readonly id: string;
  readonly requested_at: string;
  readonly disks: string;
  readonly wanted_memory: CaptureMode;
  readonly is_created: number | null;
  readonly vm_state: VmState | null;
  readonly consistency: Consistency | null;
  readonly memory: string | null;
  readonly files: string | null;
  readonly moved: string;
  readonly implicit: 0 | 1;
  readonly name: string;
  readonly description: string;
  readonly labels: string;
  readonly protected: string;
  readonly status: SnapshotStanding;
  readonly parent_id: string | null;
}

const facet = (name: string, otherwise: string): string => `
  coalesce((
    SELECT value FROM facets f WHERE f.vm = ?1 AND f.number = s.number AND facet = '${name}' AND version <= ?3
    ORDER BY version DESC LIMIT 1), ${otherwise}) AS ${name}`;

const STATUS = `
  coalesce((
    SELECT status FROM stages t WHERE t.vm = ?1 AND t.number = s.number AND version <= ?3
    ORDER BY version DESC LIMIT 1), iif(created_version <= ?3, 'complete', 'pending')) AS status`;

const PARENT = `
  coalesce((
    SELECT p.parent FROM parents p WHERE p.vm = ?1 AND p.number = s.number AND version <= ?3
    ORDER BY version DESC LIMIT 1), s.parent)`;

/** Which files hold what is kept of the disks, in the order in which that was said. */
const MOVED = `
  (SELECT json_group_array(json_array(substr(facet, 6), value)) FROM (
    SELECT facet, value FROM facets f
    WHERE f.vm = ?1 AND f.number = s.number AND facet >= 'file:' AND facet < 'file;' AND version <= ?3
    ORDER BY facet, version)) AS moved`;

const FOUND = 'FROM snapshots s WHERE s.vm = ?1 AND s.number = ?2';

const statements = (db: DatabaseSync) => ({
  find: db.prepare('SELECT number FROM snapshots WHERE vm = ? AND id = ?'),
  idOf: db.prepare('SELECT id FROM snapshots WHERE vm = ? AND number = ?'),
  parentOf: db.prepare(`SELECT ${PARENT} AS parent ${FOUND}`),
  said: db.prepare(
    `SELECT implicit, ${facet('name', 's.name')}, ${facet('labels', 's.labels')}, ${STATUS} ${FOUND}`,
  ),
  show: db.prepare(`
    SELECT id, requested_at, disks, wanted_memory, created_version <= ?3 AS is_created,
      vm_state, consistency, memory, files, implicit, ${MOVED},
      ${facet('name', 's.name')}, ${facet('description', 's.description')}, ${facet('labels', 's.labels')},
      ${facet('protected', "'false'")}, ${STATUS},
      (SELECT q.id FROM snapshots q WHERE q.vm = ?1 AND q.number = ${PARENT}) AS parent_id
    ${FOUND}`),
});

/** What lists may be searched for. */
export interface Said {
  readonly name: string;
  readonly status: SnapshotStanding;
  readonly labels: Labels;
  readonly implicit: 0 | 1;
}

/** Shows snapshots by their numbers, as they were at a place. */
export class Snapshots {
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: DatabaseSync) {
    this.#sql = statements(db);
  }

  /** The number of one that had been asked for by then; else null. */
  find({ vm, version }: Place, id: string): number | null {
    const number = one<{ number: number }>(this.#sql.find, vm, id)?.number;
    return number !== undefined && number <= version ? number : null;
  }

  /** Null for the number NONE. */
  idOf({ vm }: Place, number: number): string | null {
    return one<{ id: string }>(this.#sql.idOf, vm, number)?.id ?? null;
  }

  /** NONE or ROOTS when it has none. */
  parentOf({ vm, version }: Place, number: number): number {
    return one<{ parent: number }>(this.#sql.parentOf, vm, number, version)?.parent ?? 0;
  }

  said({ vm, version }: Place, number: number): Said | null {
    type Row = Omit<Said, 'labels'> & { readonly labels: string };
    const row = one<Row>(this.#sql.said, vm, number, version);
    return row ? { ...row, labels: JSON.parse(row.labels) as Labels } : null;
  }

  show(place: Place, number: number): SnapshotView {
    const row = one<SnapshotRow>(this.#sql.show, place.vm, number, place.version);
    if (!row) throw new Error(`snapshot ${number} of VM ${place.vmId} is listed and not there`);
    const isCreated = row.is_created === 1;
    return {
      id: row.id,
      vmId: place.vmId,
      name: row.name,
      description: row.description,
      parentId: row.parent_id,
      createdAt: row.requested_at,
      status: row.status,
      vmState: isCreated ? row.vm_state : null,
      memory: memoryOf(row, isCreated),
      disks: disksOf(row, isCreated),
      consistency: isCreated ? row.consistency : null,
      implicit: row.implicit === 1,
      protected: row.protected === 'true',
      labels: JSON.parse(row.labels) as Labels,
      current: number === place.moment.current,
    };
  }
}

const memoryOf = ({ memory, wanted_memory: mode }: SnapshotRow, isCreated: boolean): MemoryView =>
  isCreated && memory !== null ? (JSON.parse(memory) as MemoryView) : { mode };

type File = readonly [device: string, file: string];

/** Those that were asked for, and those that the capture found besides: it covers all. */
function disksOf({ disks, files, moved }: SnapshotRow, isCreated: boolean): readonly SnapshotDiskView[] {
  const asked = JSON.parse(disks) as readonly SnapshotDiskView[];
  if (!isCreated || files === null) return asked;
  const captured = JSON.parse(files) as readonly { readonly device: string; readonly file: string }[];
  const inside = captured.map(({ device, file }): File => [device, file]);
  const fileOf = new Map([...inside, ...(JSON.parse(moved) as readonly File[])]);
  const added = captured.filter(({ device }) => !asked.some((disk) => disk.device === device));
  return [...asked, ...added.map(({ device }) => ({ device, mode: 'internal' as const }))].map((disk) => {
    const file = fileOf.get(disk.device);
    return file === undefined ? disk : { ...disk, file };
  });
}
