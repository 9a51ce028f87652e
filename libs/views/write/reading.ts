import { readRegistryEvent, readVmEvent, RegistryEvent, SCHEMA_VERSION, VmEvent } from '#ledger';

const typesOf = (options: readonly { readonly shape: { readonly type: { readonly value: string } } }[]) =>
  options.map(({ shape }) => shape.type.value);

const REGISTRY_TYPES: ReadonlySet<string> = new Set(typesOf(RegistryEvent.options));
const TYPES_OF_TODAY: ReadonlySet<string> = new Set([...REGISTRY_TYPES, ...typesOf(VmEvent.options)]);

/**
 * An event as today's code knows it. What has today's shape is believed: it was checked before it was recorded,
 * and checking a million events again takes a second.
 *
 * @throws {UnknownEvent} for a type or schema version of a newer program
 */
export function readEvent(type: string, schemaVersion: string, data: unknown): VmEvent | RegistryEvent {
  if (schemaVersion === SCHEMA_VERSION && TYPES_OF_TODAY.has(type)) return { type, data } as VmEvent;
  const read = REGISTRY_TYPES.has(type) ? readRegistryEvent : readVmEvent;
  return read(type, schemaVersion, data);
}
