/** `label.colour=blue` asks for one label; all of them together are one member, under a name no parameter can have. */
const LABEL_PREFIX = 'label.';

/** What stands in for a parameter that was given twice. */
const REPEATED: readonly string[] = Object.freeze([]);

export type QueryValue = string | readonly string[] | Readonly<Record<string, string>>;

/** The parameters of a query string by name, every `label.…` gathered under `label.`. Never has a prototype. */
export function readQuery(text: string): Record<string, QueryValue> {
  const query: Record<string, QueryValue> = Object.create(null);
  if (text === '') return query;
  const labels: Record<string, string> = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const isLabel = name.startsWith(LABEL_PREFIX);
    const label = name.slice(LABEL_PREFIX.length);
    if (Object.hasOwn(isLabel ? labels : query, isLabel ? label : name)) query[name] = REPEATED;
    else if (isLabel) labels[label] = value;
    else query[name] = value;
    if (isLabel) query[LABEL_PREFIX] = labels;
  }
  return query;
}

/** The parameters that were given more than once. */
export const repeatedIn = (query: object): string[] =>
  Object.entries(query).flatMap(([name, value]) => (value === REPEATED ? [name] : []));
