/* The auditor of `ledgerctl verify`, who shares no code with the reference, reads the whole log once more. */
import { opened, type StoredEvent } from '#event-store';
import { readVmEvent } from '#ledger';
import type { Breach } from '../../apps/ledgerctl/verify/breach.ts';
import { EnvelopeAudit } from '../../apps/ledgerctl/verify/envelope-audit.ts';
import { VmAudit } from '../../apps/ledgerctl/verify/vm-audit.ts';
import { Violation } from './violation.ts';

const VM_STREAM = 'vm-';

/** @throws {Violation} for the first breach */
export function auditAll(log: readonly StoredEvent[]): void {
  const envelopes = new EnvelopeAudit();
  const audits = new Map<string, VmAudit>();
  const auditOf = (stream: string): VmAudit => {
    const audit = audits.get(stream) ?? new VmAudit(stream);
    audits.set(stream, audit);
    return audit;
  };
  for (const stored of log) {
    const { type, schemaVersion, data } = opened(stored);
    const ofVm = (): Breach[] => auditOf(stored.stream).enter(readVmEvent(type, schemaVersion, data));
    const [first] = [...envelopes.enter(stored), ...(stored.stream.startsWith(VM_STREAM) ? ofVm() : [])];
    if (first) throw new Violation(first.invariant, `an auditor says: ${first.words}`);
  }
}
