import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import type { Disk, DriftCondition, Hold, Labels } from '#ledger';
import type { Condition, DiskView, Shown, VmView } from '../shapes.ts';
import { all, one } from '../sql.ts';
import type { DriftRow, HoldRow, MachineRow } from '../write/vms.ts';
import type { Lineages } from './lineage.ts';
import { type Counted, cursorOf, cut, moreAt, type Page, sizeOf } from './page.ts';
import type { At, Place, Places } from './places.ts';

export interface VmsQuery extends Page {
  readonly name?: string;
}

/** Machines that were registered after the first page are not of its list. */
const Cursor = z.object({
  after: z.int().positive(),
  last: z.int().nonnegative(),
  total: z.int().nonnegative(),
});

const LISTED = 'FROM vms WHERE forgotten_version IS NULL AND (?1 IS NULL OR name = ?1)';

const statements = (db: DatabaseSync) => ({
  machine: db.prepare('SELECT * FROM machines WHERE vm = ? AND version <= ? ORDER BY version DESC LIMIT 1'),
  hold: db.prepare('SELECT hold FROM holds WHERE vm = ? AND version <= ? ORDER BY version DESC LIMIT 1'),
  drift: db.prepare(
    'SELECT conditions FROM drifts WHERE vm = ? AND version <= ? ORDER BY version DESC LIMIT 1',
  ),
  operation: db.prepare('SELECT id FROM operations WHERE number = ?'),
  count: db.prepare(`SELECT count(*) AS total, coalesce(max(vm), 0) AS last ${LISTED}`),
  list: db.prepare(`
    SELECT v.vm, s.vm_id FROM (SELECT vm ${LISTED} AND vm > ?2 AND vm <= ?3 ORDER BY vm LIMIT ?4) v
    JOIN streams s ON s.number = v.vm ORDER BY v.vm`),
});

/** Shows machines. */
export class Machines {
  readonly #places: Places;
  readonly #lineages: Lineages;
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: DatabaseSync, { places, lineages }: { places: Places; lineages: Lineages }) {
    this.#places = places;
    this.#lineages = lineages;
    this.#sql = statements(db);
  }

  /** Null before it is registered and after it was forgotten. */
  one(vmId: string, at: At): Shown<VmView> | null {
    const place = this.#places.find(vmId, at);
    const body = place && this.#show(place);
    return place && body && { body, version: place.version };
  }

  /** In the order of their registration. Throws the refusal `invalid-query`. */
  list(query: VmsQuery): Counted & { readonly vms: readonly VmView[] } {
    const { name = null } = query;
    const about = ['vms', name];
    const cursor = cursorOf(query, about, Cursor);
    const { last, total } = cursor ?? this.#countOf(name);
    const pageSize = sizeOf(query);
    const range = [cursor?.after ?? 0, last, pageSize + 1];
    const { rows, end } = cut(all<{ vm: number; vm_id: string }>(this.#sql.list, name, ...range), pageSize);
    return {
      vms: rows.flatMap(({ vm_id: id }) => this.one(id, {})?.body ?? []),
      totalSize: total,
      ...moreAt(about, end ? { after: end.vm, last, total } : null),
    };
  }

  #countOf(name: string | null): { readonly total: number; readonly last: number } {
    return one<{ total: number; last: number }>(this.#sql.count, name) ?? { total: 0, last: 0 };
  }

  #show(place: Place): VmView | null {
    const { vm, version, moment } = place;
    const machine = one<MachineRow>(this.#sql.machine, vm, version);
    if (!machine || this.#places.isForgotten(place)) return null;
    const disks = JSON.parse(machine.disks) as readonly Disk[];
    return {
      id: place.vmId,
      name: machine.name,
      host: machine.host,
      monitor: machine.monitor,
      guestAgent: machine.guest_agent,
      labels: JSON.parse(machine.labels) as Labels,
      disks: disks.map(diskOf),
      current: this.#lineages.current(place),
      operationId: one<{ id: string }>(this.#sql.operation, moment.operation)?.id ?? null,
      conditions: this.#conditions(place),
    };
  }

  #conditions({ vm, version }: Place): VmView['conditions'] {
    const text = one<HoldRow>(this.#sql.hold, vm, version)?.hold ?? null;
    const drift = one<DriftRow>(this.#sql.drift, vm, version)?.conditions ?? '[]';
    return [
      ...(text === null ? [] : [heldOf(JSON.parse(text) as Hold)]),
      ...(JSON.parse(drift) as DriftCondition[]),
    ];
  }
}

const heldOf = ({ reason, message }: Hold): Condition => ({ type: 'Held', reason, message });

const diskOf = ({ device, node, format, file, default: mode, readOnly }: Disk): DiskView => ({
  device,
  node,
  format,
  file,
  default: mode,
  ...(readOnly && { readOnly }),
});
