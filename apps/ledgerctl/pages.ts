import type { Answer, Api, Query } from './api.ts';
import { ownTrouble } from './problem.ts';

/** What ledgerd gives at most. */
const PAGE_SIZE = 1_000;
/** Who has read so many pages believes that ledgerd goes in circles. */
const PAGES_MAX = 10_000;

/** Reads all pages of a list into one answer, as if it had been a single page. */
export async function allPages<T extends object>(
  api: Api,
  path: string,
  member: keyof T & string,
  query: Query = {},
): Promise<Answer<T>> {
  const asked = { ...query, pageSize: `${PAGE_SIZE}` };
  const first = await api.get<T>(path, member, asked);
  const items = itemsOf(first.body, member);
  let next = nextOf(first.body);
  if (next === undefined) return first;
  for (let page = 2; next !== undefined; page += 1) {
    if (page > PAGES_MAX) throw ownTrouble('not-ledgerd', `the list ${path} has no end`);
    const { body } = await api.get<T>(path, member, { ...asked, pageToken: next });
    for (const item of itemsOf(body, member)) items.push(item);
    next = nextOf(body);
  }
  Reflect.deleteProperty(first.body, 'nextPageToken');
  return { ...first, text: JSON.stringify(first.body) };
}

/** The list itself, not a copy: what is added to it becomes part of the body. */
function itemsOf(body: object, member: string): unknown[] {
  const items: unknown = Reflect.get(body, member);
  if (!Array.isArray(items)) throw ownTrouble('not-ledgerd', `"${member}" of the answer is not a list`);
  return items;
}

/** ledgerd leaves it out on the last page; an empty one would mean the same. */
function nextOf(body: object): string | undefined {
  const token: unknown = Reflect.get(body, 'nextPageToken');
  return typeof token === 'string' && token !== '' ? token : undefined;
}
