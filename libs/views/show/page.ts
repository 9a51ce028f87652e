import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { Refusal } from '#ledger';

/** A longer page is cut to this. */
export const PAGE_SIZE_MAX = 1_000;

/** Which part of a list is wanted. */
export interface Page {
  readonly pageSize: number;
  /** As an earlier answer to the same query gave it. */
  readonly pageToken?: string;
}

export type More = { readonly nextPageToken?: string };
export type Counted = More & { readonly totalSize: number };

/** What a query asks, without its page: a token holds for that alone. */
export type About = readonly (string | number | boolean | null | readonly (string | readonly string[])[])[];

/** How many are wanted at once. Throws the refusal `invalid-query`. */
export function sizeOf({ pageSize }: Page): number {
  if (Number.isSafeInteger(pageSize) && pageSize > 0) return Math.min(pageSize, PAGE_SIZE_MAX);
  throw new Refusal('invalid-query', 'pageSize is a whole number from 1 on');
}

/**
 * Where the page begins; null: at the beginning.
 *
 * @throws {Refusal} `invalid-query` for a token that is not ours or of another query
 */
export function cursorOf<Cursor>(page: Page, about: About, shape: z.ZodType<Cursor>): Cursor | null {
  if (page.pageToken === undefined) return null;
  const [of, cursor] = membersOf(page.pageToken);
  const read = shape.safeParse(cursor);
  if (of === digestOf(about) && read.success) return read.data;
  throw new Refusal('invalid-query', 'pageToken is not one that this query was answered with');
}

/** The token of the page that begins at `cursor`; nothing when there is no such page. */
export function moreAt(about: About, cursor: object | null): More {
  if (cursor === null) return {};
  const text = JSON.stringify([digestOf(about), cursor]);
  return { nextPageToken: Buffer.from(text).toString('base64url') };
}

/** The rows of a page, for which one more than `pageSize` were looked up; `end` is the last when more follow. */
export function cut<Row>(
  rows: readonly Row[],
  pageSize: number,
): { rows: readonly Row[]; end: Row | undefined } {
  const shown = rows.slice(0, pageSize);
  return { rows: shown, end: rows.length > pageSize ? shown.at(-1) : undefined };
}

const DIGEST_CHARACTERS = 16;

const digestOf = (about: About): string =>
  createHash('sha256').update(JSON.stringify(about)).digest('base64url').slice(0, DIGEST_CHARACTERS);

function membersOf(token: string): readonly unknown[] {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(parsed) ? parsed : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}
