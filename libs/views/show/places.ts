import type { DatabaseSync } from 'node:sqlite';
import { Refusal } from '#ledger';
import { parseRfc3339, rfc3339 } from '#world';
import {
  BEFORE_ALL,
  lineOf,
  type Moment,
  readMoment,
  recordedAtOf,
  STRIP_MOMENTS,
  stripOf,
} from '../moments.ts';
import { one } from '../sql.ts';

/** When: now, at a version of the VM's stream, or at an instant. */
export interface At {
  readonly version?: number;
  /** What was recorded until then, in ms since 1970. */
  readonly asOf?: number;
}

/** One VM at one version: where everything that is shown of it is looked up. */
export interface Place {
  readonly vmId: string;
  /** Its number in the file. */
  readonly vm: number;
  readonly version: number;
  readonly moment: Moment;
}

/** Between these, times are texts of one width and compare like the instants they name. */
const ASOF_MIN = '0000-01-01T00:00:00.000Z';
const ASOF_MAX = '9999-12-31T23:59:59.999Z';

/** A VM with the last strip of its moments. */
interface FoundRow {
  readonly vm: number;
  readonly strip: number;
  readonly lines: string;
}

const statements = (db: DatabaseSync) => ({
  find: db.prepare(`
    SELECT number AS vm, strip, lines FROM streams JOIN moments ON vm = number
    WHERE vm_id = ? ORDER BY strip DESC LIMIT 1`),
  forgotten: db.prepare('SELECT forgotten_version AS version FROM vms WHERE vm = ?'),
  strip: db.prepare('SELECT lines FROM moments WHERE vm = ? AND strip = ?'),
});

/** Finds VMs, and the version at which they stood at an instant. */
export class Places {
  readonly #sql: ReturnType<typeof statements>;

  constructor(db: DatabaseSync) {
    this.#sql = statements(db);
  }

  /** A VM of which anything was ever recorded, before its registration and after its end too; else null. */
  find(vmId: string, { version, asOf }: At = {}): Place | null {
    const found = one<FoundRow>(this.#sql.find, vmId);
    if (!found) return null;
    const { vm, strip } = found;
    const lines = found.lines.split('\n');
    const last = strip * STRIP_MOMENTS + lines.length;
    const asked = asOf === undefined ? (version ?? last) : this.#versionAt(vm, last, asOf);
    const at = Math.max(Math.min(asked, last), 0);
    const around = stripOf(at) === strip ? lines : this.#linesOf(vm, stripOf(at));
    return { vmId, vm, version: at, moment: at === 0 ? BEFORE_ALL : readMoment(around[lineOf(at)] ?? '') };
  }

  /**
   * A VM that is there now, or was at the instant that is asked for.
   *
   * @throws {Refusal} `vm-unknown`
   */
  require(vmId: string, at: At = {}): Place {
    const place = this.find(vmId, at);
    if (place && !this.isForgotten(place)) return place;
    throw new Refusal('vm-unknown', `there is no VM ${vmId}`);
  }

  isForgotten({ vm, version }: Place): boolean {
    const forgotten = one<{ version: number | null }>(this.#sql.forgotten, vm)?.version ?? null;
    return forgotten !== null && forgotten <= version;
  }

  /** The last version that was recorded until then. Times never go back within a stream. */
  #versionAt(vm: number, last: number, asOfMs: number): number {
    const asOf = textOf(asOfMs);
    let [earliest, latest] = [0, Math.max(stripOf(last), 0)];
    while (earliest < latest) {
      const middle = Math.ceil((earliest + latest) / 2);
      if (recordedAtOf(this.#linesOf(vm, middle)[0] ?? '') <= asOf) earliest = middle;
      else latest = middle - 1;
    }
    const lines = this.#linesOf(vm, earliest);
    return earliest * STRIP_MOMENTS + lines.filter((line) => recordedAtOf(line) <= asOf).length;
  }

  #linesOf(vm: number, strip: number): readonly string[] {
    return one<{ lines: string }>(this.#sql.strip, vm, strip)?.lines.split('\n') ?? [];
  }
}

function textOf(ms: number): string {
  if (ms <= (parseRfc3339(ASOF_MIN) ?? 0)) return ASOF_MIN;
  return ms < (parseRfc3339(ASOF_MAX) ?? 0) ? rfc3339(ms) : ASOF_MAX;
}
