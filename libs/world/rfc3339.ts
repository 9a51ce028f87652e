/** Milliseconds since 1970 as RFC 3339 in UTC with milliseconds, e.g. `2026-11-21T11:30:00.000Z`. */
export const rfc3339 = (ms: number): string => new Date(ms).toISOString();

const SHAPE = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$/;

/** The instant in ms since 1970 that an RFC 3339 text names; null when it names none. */
export function parseRfc3339(text: string): number | null {
  if (!SHAPE.test(text)) return null;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}
