/** What JSON can say. A member that is `undefined` counts as absent. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [member: string]: Json | undefined };

/** Deeper than anything we record or accept; keeps a hostile or circular value from exhausting the stack. */
const DEPTH_MAX = 128;

/** The value cannot be said in I-JSON (RFC 7493), so it has no canonical form. */
export class NotJson extends Error {
  override readonly name = 'NotJson';
}

/**
 * The one text of a value, whatever order its members came in (RFC 8785, JSON Canonicalization Scheme).
 * Numbers and strings are written as ECMAScript does, members are sorted by their UTF-16 code units.
 * Throws `NotJson` for what has no such text: lone surrogates, NaN, infinities, class instances, `undefined`
 * anywhere but as a member of an object, and whatever is nested deeper than 128 levels.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value, 0);
}

function textOf(value: unknown, depth: number): string {
  if (depth > DEPTH_MAX) throw new NotJson(`nested deeper than ${DEPTH_MAX} levels`);
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return numberOf(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (value === null) return 'null';
  if (typeof value !== 'object') throw new NotJson(`${typeof value} has no JSON text`);
  return Array.isArray(value) ? arrayOf(value, depth) : objectOf(value, depth);
}

/** Texts that stand in JSON as they are. Most do, and asking is quicker than quoting. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new NotJson('a text holds half of a surrogate pair');
  return JSON.stringify(text);
}

function numberOf(value: number): string {
  if (!Number.isFinite(value)) throw new NotJson(`${value} has no JSON text`);
  return JSON.stringify(value); // Writes -0 as 0, as the RFC demands.
}

function arrayOf(items: readonly unknown[], depth: number): string {
  let texts = '';
  for (const item of items) texts += `${texts && ','}${textOf(item, depth + 1)}`; // Not map(): it passes holes over.
  return `[${texts}]`;
}

function objectOf(value: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new NotJson('an instance of a class has no JSON text');
  }
  let members = '';
  // Without a rule of its own, sort() compares by UTF-16 code units: the order of RFC 8785 §3.2.3.
  for (const name of Object.keys(value).sort()) {
    const member: unknown = value[name as keyof typeof value];
    if (member !== undefined) members += `${members && ','}${quoted(name)}:${textOf(member, depth + 1)}`;
  }
  return `{${members}}`;
}
