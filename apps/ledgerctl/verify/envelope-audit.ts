import { comparePositions, type Envelope, opened, type StoredEvent } from '#event-store';
import type { Breach } from './breach.ts';

/** What is remembered of one stream. */
interface Stream {
  recordedAt: string;
  /** Which request each idempotency key stands for, and the last version it has made. */
  readonly keys: Map<string, { readonly digest: string; readonly correlationId: string; last: number }>;
}

/**
 * Reads envelopes in the order of the log, whatever they are about. Chains and versions are verified before; here is
 * what no hash can tell. Remembers every event id and every key: some 200 bytes for each.
 */
export class EnvelopeAudit {
  readonly #streams = new Map<string, Stream>();
  readonly #ids = new Set<string>();
  #position: string | null = null;

  get streams(): number {
    return this.#streams.size;
  }

  enter(stored: StoredEvent): Breach[] {
    const envelope = opened(stored);
    const stream = this.#streams.get(stored.stream) ?? { recordedAt: '', keys: new Map() };
    this.#streams.set(stored.stream, stream);
    const where = `${stored.stream} version ${stored.version} (${envelope.type})`;
    const breaches: Breach[] = [];
    if (this.#position !== null && comparePositions(stored.position, this.#position) <= 0)
      breaches.push({
        invariant: 'I9',
        words: `${where} stands at ${stored.position}, behind ${this.#position}`,
      });
    if (this.#ids.has(envelope.id))
      breaches.push({ invariant: 'I9', words: `${where} has the event id ${envelope.id} of another one` });
    if (envelope.recordedAt < stream.recordedAt)
      breaches.push({ invariant: 'I20', words: `${where} was recorded before the event before it` });
    if (!isOneRequest(stream, envelope, stored.version))
      breaches.push({ invariant: 'I12', words: `${where} uses the key of another request` });
    this.#position = stored.position;
    this.#ids.add(envelope.id);
    stream.recordedAt = envelope.recordedAt;
    return breaches;
  }
}

/** A key is used once: all its events stand together, and belong to one request. */
function isOneRequest({ keys }: Stream, envelope: Envelope, version: number): boolean {
  const { commandId, commandDigest: digest, correlationId } = envelope;
  if (commandId === '') return true;
  const used = keys.get(commandId);
  keys.set(commandId, { digest, correlationId, last: version });
  if (!used) return true;
  return used.digest === digest && used.correlationId === correlationId && used.last === version - 1;
}
