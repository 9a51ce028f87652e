import { Refusal } from './refusal.ts';

/** QEMU and libvirt cut or refuse longer ones. */
export const NAME_BYTES_MAX = 255;
export const DESCRIPTION_BYTES_MAX = 64 * 1024;
export const LABELS_MAX = 64;
export const LABEL_KEY_BYTES_MAX = 63;
export const LABEL_VALUE_BYTES_MAX = 1024;

const UUID_SHAPED = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
// C0, DEL and C1 controls, lone surrogates, and the two non-characters that XML 1.0 leaves out.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/u;
// The same, but tab and newline are text. A carriage return is not: no XML brings it back.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN_IN_TEXT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/u;

const encoder = new TextEncoder();

/** Length in UTF-8. */
export const bytesOf = (text: string): number => encoder.encode(text).length;

export const isUuidShaped = (text: string): boolean => UUID_SHAPED.test(text);

/** Why a text cannot be a name, in words; null when it can. Names the rule, because names come from people. */
export function whyNoName(name: string): string | null {
  if (name.length === 0) return 'a name may not be empty';
  const bytes = bytesOf(name);
  if (bytes > NAME_BYTES_MAX)
    return `a name has at most ${NAME_BYTES_MAX} bytes of UTF-8, this one has ${bytes}`;
  if (FORBIDDEN.test(name))
    return 'a name may not contain control characters or characters that XML cannot hold';
  if (isUuidShaped(name))
    return 'a name may not be shaped like a UUID: ids are UUIDs, and nothing guesses between them';
  return null;
}

/** @throws {Refusal} `invalid-name` */
export function requireName(name: string): void {
  const why = whyNoName(name);
  if (why) throw new Refusal('invalid-name', why);
}

/** @throws {Refusal} `invalid-body` */
export function requireText(what: 'description' | 'note', text: string): void {
  const bytes = bytesOf(text);
  if (bytes > DESCRIPTION_BYTES_MAX) {
    throw new Refusal(
      'invalid-body',
      `a ${what} has at most ${DESCRIPTION_BYTES_MAX} bytes, this one has ${bytes}`,
    );
  }
  if (FORBIDDEN_IN_TEXT.test(text)) {
    throw new Refusal(
      'invalid-body',
      `a ${what} may not contain control characters except tab and newline, nor what XML cannot hold`,
    );
  }
}

/** @throws {Refusal} `invalid-body` */
export function requireLabels(labels: Readonly<Record<string, string>>): void {
  const entries = Object.entries(labels);
  if (entries.length > LABELS_MAX)
    throw new Refusal('invalid-body', `at most ${LABELS_MAX} labels, not ${entries.length}`);
  for (const [key, value] of entries) {
    // Whoever reads the log into objects would lose this key without a word, and its state would not be ours.
    if (key === '__proto__') throw new Refusal('invalid-body', 'a label may not be called "__proto__"');
    if (key.length === 0 || bytesOf(key) > LABEL_KEY_BYTES_MAX || FORBIDDEN.test(key)) {
      throw new Refusal(
        'invalid-body',
        `a label key has 1 to ${LABEL_KEY_BYTES_MAX} bytes and no control characters`,
      );
    }
    if (bytesOf(value) > LABEL_VALUE_BYTES_MAX || FORBIDDEN_IN_TEXT.test(value)) {
      throw new Refusal(
        'invalid-body',
        `the value of label "${key}" has more than ${LABEL_VALUE_BYTES_MAX} bytes or control characters`,
      );
    }
  }
}

/**
 * The name of a snapshot that nobody named. The last 12 digits, because the first 8 of a UUIDv7 stand still for a
 * minute.
 */
export const madeUpName = (snapshotId: string): string => `snap-${snapshotId.slice(-12)}`;
