import { isObject, type Json, type JsonObject } from './json.ts';
import { QmpError } from './qmp-error.ts';

type Kind = 'string' | 'boolean' | 'number' | 'array' | 'object' | 'nodeOrNull';
/** Members in the order of QEMU's schema; a `*` before the name means that it may be missing. */
export type Shape = Readonly<Record<string, Kind>>;

const MATCHES: Readonly<Record<Kind, (value: Json) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number',
  nodeOrNull: (value) => value === null || typeof value === 'string',
  array: (value) => Array.isArray(value),
  object: (value) => isObject(value),
};

/** Checks arguments as QEMU's parser does, before anything is executed, and in its words. */
export function checkShape(value: JsonObject, shape: Shape, path = ''): void {
  const known = new Set<string>();
  for (const [entry, kind] of Object.entries(shape)) {
    const isOptional = entry.startsWith('*');
    const name = isOptional ? entry.slice(1) : entry;
    known.add(name);
    const member = value[name];
    if (member === undefined) {
      if (!isOptional) throw new QmpError(`Parameter '${path}${name}' is missing`);
    } else if (!MATCHES[kind](member)) {
      throw new QmpError(`Invalid parameter type for '${path}${name}', expected: ${kind}`);
    }
  }
  const surplus = Object.keys(value).find((name) => !known.has(name));
  if (surplus !== undefined) throw new QmpError(`Parameter '${path}${surplus}' is unexpected`);
}

export const textOf = (value: JsonObject, name: string): string => {
  const member = value[name];
  return typeof member === 'string' ? member : '';
};

/** Null when the member is missing. */
export const optionalTextOf = (value: JsonObject, name: string): string | null => {
  const member = value[name];
  return typeof member === 'string' ? member : null;
};

export function textsOf(value: JsonObject, name: string): string[] {
  const member = value[name];
  if (!Array.isArray(member)) return [];
  return member.map((item: Json, at) => {
    if (typeof item === 'string') return item;
    throw new QmpError(`Invalid parameter type for '${name}[${at}]', expected: string`);
  });
}

export function objectsOf(value: JsonObject, name: string): JsonObject[] {
  const member = value[name];
  if (!Array.isArray(member)) return [];
  return member.map((item: Json, at) => {
    if (isObject(item)) return item;
    throw new QmpError(`Invalid parameter type for '${name}[${at}]', expected: object`);
  });
}
