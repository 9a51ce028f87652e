import { styleText } from 'node:util';
import type { Sink, Surroundings } from './surroundings.ts';

export type Style = 'red' | 'green' | 'yellow' | 'dim' | 'bold';

/** How things look where they are printed. */
export interface Screen {
  /** A text of somebody else's, made harmless: one line, and nothing a terminal would obey. */
  text(raw: string): string;
  /** Coloured where colours are seen. Takes what is harmless already. */
  paint(style: Style, text: string): string;
  /** Whether branches are drawn with ASCII characters. */
  readonly isAscii: boolean;
}

/**
 * Control characters of ASCII and of Latin-1 (a terminal may obey both), line separators, the marks that turn the
 * direction of writing, and what has no character at all: halves of surrogates and non-characters.
 */
const UNSAFE =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]/gu;
const NOT_ASCII = /[^\u0020-\u007e]/gu;
const SHORT: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

const escaped = (character: string): string =>
  SHORT.get(character) ?? `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;

/** JSON that means the same and does nothing to a terminal: JSON itself escapes only half of what is unsafe. */
export const safeJson = (json: string): string =>
  json.replaceAll(UNSAFE, (character) => (/[\n\r\t]/.test(character) ? character : escaped(character)));

/** A text made harmless for terminals that read UTF-8. */
export const safe = (raw: string): string => raw.replaceAll(UNSAFE, escaped);

/**
 * What the surroundings allow: colours on a terminal, or where FORCE_COLOR is set, unless NO_COLOR is; branches where
 * UTF-8 is read.
 */
export function screenOf(sink: Sink, { env }: Surroundings, isAsciiWanted = false): Screen {
  const isUtf8 = /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '');
  const isSet = (name: string): boolean => (env[name] ?? '') !== '';
  const seesColours = sink.isTerminal && env['TERM'] !== 'dumb';
  const hasColours = !isSet('NO_COLOR') && (seesColours || isSet('FORCE_COLOR'));
  // A terminal that does not read UTF-8 sees bytes, and some of those are control characters to it.
  const isNarrow = sink.isTerminal && !isUtf8;
  return {
    text: (raw) => (isNarrow ? safe(raw).replaceAll(NOT_ASCII, escaped) : safe(raw)),
    paint: (style, text) =>
      hasColours && text !== '' ? styleText(style, text, { validateStream: false }) : text,
    isAscii: isAsciiWanted || !isUtf8,
  };
}

/** `2026-11-21T11:30:00.000Z` as people read it: `2026-11-21 11:30:00Z`. */
export const instant = (rfc3339: string): string => rfc3339.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
