import { Refusal } from '#ledger';
import { RESERVED_NAMES } from './reserved.ts';

/** Bytes of one request body. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Levels of objects and arrays in one body. */
export const BODY_DEPTH_MAX = 32;

const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The JSON object in a body; an empty body is `{}`.
 *
 * @throws {Refusal} `invalid-body` for what is no UTF-8, no JSON, no object, nested too deep, holds half a character,
 * or would reach into a prototype
 */
export function readBody(bytes: Uint8Array): object {
  if (bytes.length === 0) return {};
  const body = parsed(bytes);
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Refusal('invalid-body', 'the body must be a JSON object');
  requireHarmless(body);
  return body;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Refusal('invalid-body', `the body is not JSON in UTF-8: ${why}`);
  }
}

/** Walks with a list of its own: a body decides how deep it is, and must not decide about our stack. */
function requireHarmless(body: object): void {
  const pending: { readonly value: unknown; readonly depth: number; readonly isLabels: boolean }[] = [
    { value: body, depth: 1, isLabels: false },
  ];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value, depth, isLabels } = next;
    if (typeof value === 'string') requireText(value);
    if (typeof value !== 'object' || value === null) continue;
    if (depth > BODY_DEPTH_MAX)
      throw new Refusal('invalid-body', `the body is nested deeper than ${BODY_DEPTH_MAX} levels`);
    for (const [key, member] of Object.entries(value)) {
      requireText(key);
      if (RESERVED_NAMES.has(key) && !isLabels)
        throw new Refusal('invalid-body', `property ${key} should not exist`);
      pending.push({ value: member, depth: depth + 1, isLabels: depth === 1 && key === 'labels' });
    }
  }
}

function requireText(text: string): void {
  if (!text.isWellFormed()) throw new Refusal('invalid-body', 'a text in the body holds half of a character');
}
