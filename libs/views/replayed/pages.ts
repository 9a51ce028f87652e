import { createHash } from 'node:crypto';
import { Refusal } from '#ledger';

export interface Page {
  readonly pageSize: number;
  /** As an earlier answer to the same query gave it. */
  readonly pageToken?: string;
}

export interface Paged<Item> {
  readonly items: readonly Item[];
  readonly totalSize: number;
  readonly next: { readonly nextPageToken?: string };
}

/**
 * One page of a list. The token says where the next page begins and which query it is of.
 *
 * @throws {Refusal} `invalid-query` for a token that is not ours or of another query
 */
export function paged<Item>(all: readonly Item[], { pageSize, pageToken, ...query }: Page): Paged<Item> {
  const about = createHash('sha256').update(JSON.stringify(query)).digest('base64url').slice(0, 12);
  const from = pageToken === undefined ? 0 : placeIn(pageToken, about);
  const end = from + pageSize;
  const next =
    end < all.length ? { nextPageToken: Buffer.from(`${about}.${end}`).toString('base64url') } : {};
  return { items: all.slice(from, end), totalSize: all.length, next };
}

function placeIn(pageToken: string, about: string): number {
  const [of, place] = Buffer.from(pageToken, 'base64url').toString().split('.');
  const from = Number(place);
  if (of === about && Number.isSafeInteger(from)) return from;
  throw new Refusal('invalid-query', 'pageToken is not one that this query was answered with');
}
