/** One line that went over the wire, as it may be kept: secrets removed, cut at 64 KiB. */
export interface TranscriptEntry {
  readonly direction: 'sent' | 'received';
  /** Wall time in ms since 1970. */
  readonly at: number;
  readonly text: string;
  readonly isCut: boolean;
}

export const TEXT_BYTES_MAX = 64 * 1024;

const UTF8_BYTES_MAX = 3; // For one UTF-16 unit.

const SECRET = /password|secret|token/i;
const SECRET_OPTION = /([\w.-]*(?:password|secret|token)[\w.-]*=)[^,\s"]*/gi; // As in `file.password=x,ro=on`.
const REMOVED = '(removed)';

/** What may be kept of one line. A line that names no secret is kept to the letter. */
export function entryOf(direction: TranscriptEntry['direction'], at: number, line: string): TranscriptEntry {
  return { direction, at, ...cut(SECRET.test(line) ? withoutSecrets(line) : line) };
}

function withoutSecrets(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), (key, value: unknown) => {
      if (SECRET.test(key)) return REMOVED;
      return typeof value === 'string' ? scrubbed(value) : value;
    });
  } catch {
    return REMOVED; // It names a secret and is no JSON: nobody can say where the secret begins and ends.
  }
}

/** Block options travel inside strings too: as `json:{...}` file names and as `key=value` lists. */
function scrubbed(value: string): string {
  if (value.startsWith('json:')) return `json:${withoutSecrets(value.slice('json:'.length))}`;
  return value.replace(SECRET_OPTION, `$1${REMOVED}`);
}

function cut(text: string): { text: string; isCut: boolean } {
  if (text.length * UTF8_BYTES_MAX <= TEXT_BYTES_MAX) return { text, isCut: false };
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(TEXT_BYTES_MAX));
  return { text: text.slice(0, read), isCut: read < text.length };
}
