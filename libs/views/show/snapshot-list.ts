import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { type Labels, Refusal } from '#ledger';
import { SNAPSHOT_STATUSES, type SnapshotStanding, type SnapshotView } from '../shapes.ts';
import { all, one } from '../sql.ts';
import { PINS, RETIRED, USED } from '../write/roll.ts';
import type { Shelves } from './lineage.ts';
import { type About, type Counted, cursorOf, cut, moreAt, type Page, sizeOf } from './page.ts';
import type { Place } from './places.ts';

export interface SnapshotsQuery extends Page {
  readonly name?: string;
  /** Absent: those that live and are not retired. */
  readonly status?: readonly string[];
  /** All of these. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Also safety pins. */
  readonly implicit?: boolean;
  readonly asOf?: number;
}

/** Numbers that are looked up at once. */
const NUMBERS_AT_ONCE = 128;

const IN_USE: readonly SnapshotStanding[] = ['pending', 'complete', 'deleting', 'lost', 'suspect'];

const Cursor = z.object({
  version: z.int().nonnegative(),
  after: z.int().positive(),
  total: z.int().nonnegative(),
});

interface Filter {
  readonly name: string | null;
  readonly statuses: ReadonlySet<SnapshotStanding>;
  readonly labels: readonly (readonly [string, string])[];
  /** Whether pins are wanted too. */
  readonly implicit: boolean;
}

/** Up to `limit` numbers above `after`, in their order. */
type Source = (after: number, limit: number) => readonly number[];

const statements = (db: DatabaseSync) => ({
  ended: db.prepare(`
    SELECT number FROM stages INDEXED BY stages_ended
    WHERE vm = ?1 AND status = ?2 AND status IN ('deleted', 'failed') AND number > ?3 AND version <= ?4
      AND (?6 OR NOT (SELECT implicit FROM snapshots s WHERE s.vm = ?1 AND s.number = stages.number))
    ORDER BY number LIMIT ?5`),
  bearer: db.prepare(`
    SELECT number FROM names WHERE vm = ? AND name = ? AND version <= ? ORDER BY version DESC LIMIT 1`),
});

/** Flat lists of a VM's snapshots, in the order in which they were asked for. */
export class SnapshotLists {
  readonly #shelves: Shelves;
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: DatabaseSync, shelves: Shelves) {
    this.#shelves = shelves;
    this.#sql = statements(db);
  }

  /** @throws {Refusal} `vm-unknown`, `invalid-query` */
  list(vmId: string, query: SnapshotsQuery): Counted & { readonly snapshots: readonly SnapshotView[] } {
    const { name = null, implicit = false, asOf = null } = query;
    const filter: Filter = { name, statuses: statusesIn(query), labels: labelsIn(query), implicit };
    const about: About = ['snapshots', vmId, name, [...filter.statuses], filter.labels, implicit, asOf];
    const cursor = cursorOf(query, about, Cursor);
    const place = this.#shelves.places.require(vmId, cursor ?? (asOf === null ? {} : { asOf }));
    const pageSize = sizeOf(query);
    const numbers = firstOf(this.#matching(place, filter, cursor?.after ?? 0), pageSize + 1);
    const { rows, end } = cut(numbers, pageSize);
    const total = cursor?.total ?? this.#count(place, filter);
    return {
      snapshots: rows.map((number) => this.#shelves.snapshots.show(place, number)),
      totalSize: total,
      ...moreAt(about, end === undefined ? null : { version: place.version, after: end, total }),
    };
  }

  /** Without a name, labels and pins the count is known; else those that match are counted, once for all pages. */
  #count(place: Place, filter: Filter): number {
    const { statuses } = filter;
    if (isPlain(filter)) {
      return [...statuses].reduce((sum, status) => sum + place.moment.counts[status], 0);
    }
    let count = 0;
    for (const _ of this.#matching(place, filter, 0)) count += 1;
    return count;
  }

  *#matching(place: Place, filter: Filter, after: number): Generator<number> {
    const isSure = isPlain(filter) && wantsAllInUse(filter);
    for (const number of merged(this.#sources(place, filter), after)) {
      if (isSure || this.#matches(place, number, filter)) yield number;
    }
  }

  #matches(place: Place, number: number, { name, statuses, labels, implicit }: Filter): boolean {
    const said = this.#shelves.snapshots.said(place, number);
    return (
      said !== null &&
      statuses.has(said.status) &&
      (implicit || said.implicit === 0) &&
      (name === null || said.name === name) &&
      labels.every(([key, value]) => Object.hasOwn(said.labels, key) && said.labels[key] === value)
    );
  }

  /** Lists in which all that match are found, and not much besides. */
  #sources(place: Place, filter: Filter): readonly Source[] {
    const { name, statuses, implicit } = filter;
    const roll =
      (list: number): Source =>
      (after, limit) =>
        this.#shelves.members.after(place, list, after, limit);
    const living = [
      ...(IN_USE.some((status) => statuses.has(status)) ? [roll(USED)] : []),
      ...(statuses.has('retired') ? [roll(RETIRED)] : []),
      ...(implicit ? [roll(PINS)] : []),
    ];
    // A name means at most one that lives.
    const alive = name === null || living.length === 0 ? living : [this.#bearer(place, name)];
    const ends = (['deleted', 'failed'] as const).filter((status) => statuses.has(status));
    return [...alive, ...ends.map((status) => this.#ended(place, status, implicit))];
  }

  #bearer({ vm, version }: Place, name: string): Source {
    const bearer = one<{ number: number | null }>(this.#sql.bearer, vm, name, version)?.number ?? null;
    return (after) => (bearer === null || bearer <= after ? [] : [bearer]);
  }

  #ended({ vm, version }: Place, status: 'deleted' | 'failed', implicit: boolean): Source {
    return (after, limit) =>
      all<{ number: number }>(this.#sql.ended, vm, status, after, version, limit, Number(implicit)).map(
        ({ number }) => number,
      );
  }
}

function statusesIn({ status }: SnapshotsQuery): ReadonlySet<SnapshotStanding> {
  if (status === undefined || status.length === 0) return new Set(IN_USE);
  const unknown = status.find((word) => !SNAPSHOT_STATUSES.some((known) => known === word));
  if (unknown !== undefined) throw new Refusal('invalid-query', `"${unknown}" is no status of a snapshot`);
  return new Set(SNAPSHOT_STATUSES.filter((known) => status.includes(known)));
}

const labelsIn = ({ labels = {} }: { readonly labels?: Labels }): Filter['labels'] =>
  Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1));

/** Whether only the status matters. */
const isPlain = ({ name, labels, implicit }: Filter): boolean =>
  name === null && labels.length === 0 && !implicit;

/** Whether what `USED` lists need not be looked at one by one. */
const wantsAllInUse = ({ statuses }: Filter): boolean => {
  const wanted = IN_USE.filter((status) => statuses.has(status));
  return wanted.length === 0 || wanted.length === IN_USE.length;
};

function firstOf(numbers: Iterable<number>, count: number): readonly number[] {
  const first: number[] = [];
  for (const number of numbers) {
    if (first.push(number) === count) break;
  }
  return first;
}

/** The numbers of all sources above `after`, in their order. No number stands in two sources. */
function* merged(sources: readonly Source[], after: number): Generator<number> {
  for (let last = after; ;) {
    const found = sources.flatMap((source) => source(last, NUMBERS_AT_ONCE)).sort((a, b) => a - b);
    const next = found.slice(0, NUMBERS_AT_ONCE);
    yield* next;
    if (next.length < NUMBERS_AT_ONCE) return;
    last = next.at(-1) ?? last;
  }
}
