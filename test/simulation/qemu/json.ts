export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Cuts a stream into JSON values by their brackets: QEMU needs no newline between commands. */
export class JsonStream {
  #rest = '';

  /** The texts of the values that `text` completes. */
  take(text: string): string[] {
    this.#rest += text;
    const values: string[] = [];
    for (let end = endOfValue(this.#rest); end > 0; end = endOfValue(this.#rest)) {
      values.push(this.#rest.slice(0, end).trim());
      this.#rest = this.#rest.slice(end);
    }
    return values;
  }
}

/** A text, also one that has not ended yet, or a bracket. */
const TOKEN = /"(?:\\(?:.|$)|[^"\\])*(?:"|$)|[{}[\]]/gs;

/** Where the first complete value ends; 0 when there is none yet. Anything outside of brackets is a value per line. */
function endOfValue(text: string): number {
  const start = text.search(/\S/);
  if (start < 0) return 0;
  if (text[start] !== '{' && text[start] !== '[') return text.indexOf('\n', start) + 1;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth += 1;
    else if ((token === '}' || token === ']') && --depth === 0) return index + 1;
  }
  return 0;
}
