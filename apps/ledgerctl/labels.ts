import { InvalidArgumentError } from 'commander';
import type { Answer, Guards } from './api.ts';
import { Trouble } from './problem.ts';
import type { Session } from './session.ts';

/** How often labels are read and written again when somebody else changed the VM in between. */
const ATTEMPTS_MAX = 5;

export interface LabelChange {
  readonly key: string;
  /** Null: the label goes. */
  readonly value: string | null;
}

/** `key=value` or `key-`, gathered. The key ends at the first equals sign. */
export function labelChange(word: string, before: readonly LabelChange[] = []): readonly LabelChange[] {
  const at = word.indexOf('=');
  if (at > 0) return [...before, { key: word.slice(0, at), value: word.slice(at + 1) }];
  const isRemoval = at < 0 && word.length > 1 && word.endsWith('-');
  if (isRemoval) return [...before, { key: word.slice(0, -1), value: null }];
  throw new InvalidArgumentError(`"${word}" is neither key=value nor key-`);
}

interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
}

interface Relabelling<T> {
  readonly path: string;
  readonly changes: readonly LabelChange[];
  /** Sends the labels as they are to be, and whatever else is to change with them. */
  readonly write: (labels: Labelled['labels'], guards: Guards) => Promise<Answer<T>>;
}

/**
 * ledgerd knows labels as a whole only. What was read is written back at the version at which it was read, so that
 * nobody's label is lost; when somebody was faster it is read again.
 */
export async function relabelled<T>(
  { api, guards }: Session,
  { path, changes, write }: Relabelling<T>,
): Promise<Answer<T>> {
  for (let attempt = 1; ; attempt += 1) {
    const { body, version } = await api.get<Labelled>(path, 'labels');
    const labels = new Map(Object.entries(body.labels));
    for (const { key, value } of changes) {
      if (value === null) labels.delete(key);
      else labels.set(key, value);
    }
    try {
      return await write(Object.fromEntries(labels), { ifMatch: version, ...guards });
    } catch (error) {
      const isLate = error instanceof Trouble && error.problem.reason === 'stale-version';
      if (!isLate || guards.ifMatch !== undefined || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
