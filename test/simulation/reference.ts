import { createHash } from 'node:crypto';
import type { StoredEvent } from '#event-store';
import type { DataOf } from '#ledger';
import { Book } from './book.ts';
import type { LoggedEvent } from './logged-event.ts';
import { requireInTime } from './rules.ts';
import type { SimulatedVm } from './simulated-vm.ts';
import { must } from './violation.ts';

const ZEROS = '0'.repeat(64);
const VM_PREFIX = 'vm-';

/** How far one stream has come. */
interface Chain {
  version: number;
  hash: string;
  recordedAt: string;
  /** Which versions each idempotency key has made, and of what. */
  readonly keys: Map<string, { readonly digest: string; readonly correlationId: string; last: number }>;
}

/**
 * Reads the log as it is written and knows what it must not say. Shares no code with the ledger: it has its own idea of
 * chains, lineages and operations, and compares it with what really stands on the disks.
 */
export class Reference {
  /** By VM id. */
  readonly books = new Map<string, Book>();
  /** Every event there ever was, with its version. */
  readonly eventIds = new Map<string, number>();
  /** Every operation there ever was. */
  readonly operationIds = new Set<string>();
  /** How many of those have failed. */
  failuresCount = 0;
  readonly #vms: ReadonlyMap<string, SimulatedVm>;
  /** What operations are to do, as somebody has accepted it. */
  readonly promised = new Map<string, readonly string[]>();
  /** Since when ledgerd takes requests. */
  upSinceMs = 0;
  readonly #chains = new Map<string, Chain>();
  #position = 0n;

  /** `vms` by id: where to look for what the log claims. */
  constructor(vms: ReadonlyMap<string, SimulatedVm>) {
    this.#vms = vms;
  }

  /** Throws a `Violation` when this event must not stand here. */
  read(stored: StoredEvent, atMs: number): LoggedEvent {
    const event = JSON.parse(stored.record) as LoggedEvent;
    must(
      BigInt(stored.position) > this.#position,
      'I9',
      () => `position ${stored.position} does not increase`,
    );
    this.#position = BigInt(stored.position);
    this.#link(stored, event);
    this.eventIds.set(event.id, stored.version);
    this.operationIds.add(event.correlationId);
    if (event.type.endsWith('Failed')) this.failuresCount += 1;
    const book = this.#bookOf(event.stream);
    if (event.type === 'OperationStarted') {
      if (book?.open) requireInTime(book.open, atMs, this.upSinceMs);
      this.#requireAsPlanned(event);
    }
    book?.enter(event, atMs);
    return event;
  }

  /** Whoever accepts a plan gets that plan. */
  #requireAsPlanned({ data, correlationId }: LoggedEvent): void {
    const { plan } = data as DataOf<'OperationStarted'>;
    const promised = this.promised.get(correlationId);
    const isSame = !promised || plan.every((words) => promised.includes(words));
    must(isSame, 'plan', () => `it was to be ${promised?.join('; ')}; and it is ${plan.join('; ')}`);
  }

  /** How far a VM's stream has come. */
  versionOf(vmId: string): number {
    return this.#chains.get(`${VM_PREFIX}${vmId}`)?.version ?? 0;
  }

  #bookOf(stream: string): Book | null {
    if (!stream.startsWith(VM_PREFIX)) return null;
    const id = stream.slice(VM_PREFIX.length);
    const vm = this.#vms.get(id);
    if (!vm) return null;
    const book = this.books.get(id) ?? new Book(vm);
    this.books.set(id, book);
    return book;
  }

  #link(stored: StoredEvent, event: LoggedEvent): void {
    const { stream } = stored;
    const chain = this.#chains.get(stream) ?? { version: 0, hash: ZEROS, recordedAt: '', keys: new Map() };
    this.#chains.set(stream, chain);
    const where = `${stream} ${event.type}`;
    must(stored.version === chain.version + 1 && event.version === String(stored.version), 'I9', () => {
      return `${where} has version ${event.version} after ${chain.version}`;
    });
    must(stored.previousHash === chain.hash, 'I10', () => `${where} does not follow the event before it`);
    must(stored.hash === hashOf(stored), 'I10', () => `${where} has another hash than its record`);
    must(
      event.recordedAt >= chain.recordedAt,
      'I20',
      () => `${where} was recorded before the event before it`,
    );
    if (event.commandId !== '') checkKey(chain, event, stored.version);
    chain.version = stored.version;
    chain.hash = stored.hash;
    chain.recordedAt = event.recordedAt;
  }
}

function hashOf({ previousHash, record }: StoredEvent): string {
  return createHash('sha256').update(Buffer.from(previousHash, 'hex')).update(record, 'utf8').digest('hex');
}

/** A key is used once: all its events stand together, and belong to one request. */
function checkKey(
  { keys }: Chain,
  { commandId, commandDigest, correlationId }: LoggedEvent,
  version: number,
): void {
  const used = keys.get(commandId);
  must(
    !used ||
      (used.digest === commandDigest && used.correlationId === correlationId && used.last === version - 1),
    'I12',
    () => `the key ${commandId} was used twice: for ${used?.correlationId} and for ${correlationId}`,
  );
  keys.set(commandId, { digest: commandDigest, correlationId, last: version });
}
