import { opened, type StoredEvent, StoreTrouble, verifiedEvents } from '#event-store';
import { evolve, readVmEvent, unborn, type Vm } from '#ledger';
import type { ViewsCheck } from '#views';
import { EnvelopeAudit } from './envelope-audit.ts';
import type { Invariant } from './breach.ts';
import type { Report } from './report.ts';
import { VmAudit } from './vm-audit.ts';

const VM_STREAM = 'vm-';

const OF_ENVELOPES: readonly Invariant[] = ['I9', 'I10', 'I12', 'I20'];
const OF_VMS: readonly Invariant[] = ['I3', 'I4', 'I5', 'I6', 'I7', 'I15', 'I16', 'I19'];

export interface LogAudit {
  readonly file: string;
  readonly report: Report;
  /** Is told the same pages, as far as they are whole. */
  readonly views: Pick<ViewsCheck, 'tell'> | null;
  readonly onProgress: (events: number) => Promise<void>;
}

export interface Audited {
  readonly events: number;
  readonly streams: number;
  /** In the order in which they were registered. */
  readonly vms: readonly AuditedVm[];
  /** False: the log is damaged, and was read no further than that. */
  readonly isWhole: boolean;
}

/** A VM as the log leaves it. */
export interface AuditedVm {
  readonly vm: Readonly<Vm>;
  readonly stream: string;
  /** Of the last event that was read of it. */
  readonly version: number;
}

/** What is known of one VM on the way through its log. */
interface Reader {
  readonly audit: VmAudit;
  readonly stream: string;
  vm: Vm;
  version: number;
}

/**
 * Reads a log from its beginning to its end and holds every event against what it must not say.
 *
 * @throws {UnknownEvent} for an event of a newer program, {MalformedEvent} for one that is not what its type promises
 */
export async function auditLog({ file, report, views, onProgress }: LogAudit): Promise<Audited> {
  const envelopes = new EnvelopeAudit();
  const readers = new Map<string, Reader>();
  let events = 0;
  const isWhole = await damageTold(report, async () => {
    for await (const page of verifiedEvents(file)) {
      for (const stored of page) {
        for (const breach of envelopes.enter(stored)) report.breach(breach);
        if (stored.stream.startsWith(VM_STREAM)) enter(readers, stored, report);
      }
      views?.tell(page);
      events += page.length;
      await onProgress(events);
    }
  });
  const { streams } = envelopes;
  const vms = [...readers.values()].map(({ vm, stream, version }) => ({ vm, stream, version }));
  const busy = [...readers.values()].filter(({ audit }) => audit.isBusy).length;
  report.looked(OF_ENVELOPES, `${events} events in ${streams} streams`);
  report.looked(
    OF_VMS,
    `${vms.length} VMs${busy > 0 ? `, ${busy} of them with an operation under way` : ''}`,
  );
  return { events, streams, vms, isWhole };
}

function enter(readers: Map<string, Reader>, stored: StoredEvent, report: Report): void {
  const id = stored.stream.slice(VM_STREAM.length);
  const { stream, version } = stored;
  const reader = readers.get(id) ?? { audit: new VmAudit(id), stream, vm: unborn(), version };
  readers.set(id, reader);
  const { id: eventId, type, schemaVersion, data } = opened(stored);
  const event = readVmEvent(type, schemaVersion, data);
  for (const breach of reader.audit.enter(event)) report.breach(breach);
  reader.vm = evolve(reader.vm, { ...event, id: eventId });
  reader.version = version;
}

/** Whether all went well. A chain that is broken is what an audit is looking for. */
async function damageTold(report: Report, work: () => Promise<void>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof StoreTrouble) || error.kind !== 'damaged') throw error;
    report.breach({ invariant: 'I10', words: error.message });
    return false;
  }
}
