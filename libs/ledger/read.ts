import { RegistryEvent, VmEvent } from './events.ts';

/** The shape of every event so far. A new shape of an old event gets the next number and an upcaster here. */
export const SCHEMA_VERSION = '1';

/** The log holds an event this program is too old for. Followers stop on it; they never skip. */
export class UnknownEvent extends Error {
  override readonly name = 'UnknownEvent';
}

/** Its shape is not what its type promises: the log is damaged or was written by something else. */
export class MalformedEvent extends Error {
  override readonly name = 'MalformedEvent';
}

const VM_EVENT_TYPES: ReadonlySet<string> = new Set(VmEvent.options.map((option) => option.shape.type.value));
const REGISTRY_EVENT_TYPES: ReadonlySet<string> = new Set(
  RegistryEvent.options.map((option) => option.shape.type.value),
);

/**
 * A stored event as today's code knows it.
 *
 * @throws {UnknownEvent} for a type or schema version of a newer program
 * @throws {MalformedEvent} when the data do not have the promised shape
 */
export function readVmEvent(type: string, schemaVersion: string, data: unknown): VmEvent {
  requireKnown(VM_EVENT_TYPES, type, schemaVersion);
  const read = VmEvent.safeParse({ type, data });
  if (!read.success) throw new MalformedEvent(`${type}: ${read.error.message}`);
  return read.data;
}

/** The same for the stream `registry`. */
export function readRegistryEvent(type: string, schemaVersion: string, data: unknown): RegistryEvent {
  requireKnown(REGISTRY_EVENT_TYPES, type, schemaVersion);
  const read = RegistryEvent.safeParse({ type, data });
  if (!read.success) throw new MalformedEvent(`${type}: ${read.error.message}`);
  return read.data;
}

function requireKnown(types: ReadonlySet<string>, type: string, schemaVersion: string): void {
  if (types.has(type) && schemaVersion === SCHEMA_VERSION) return;
  throw new UnknownEvent(`${type} v${schemaVersion} is newer than this program`);
}
