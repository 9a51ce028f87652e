import { type ArgumentMetadata, Injectable, ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { Refusal } from '#ledger';
import { repeatedIn } from './read-query.ts';
import { RESERVED_NAMES } from './reserved.ts';

/** Sentences of one refusal: enough to mend a request, not enough to flood a terminal. */
const SENTENCES_MAX = 8;

/** A body or a query is not what its class says. Never leaves this file. */
class Misshapen extends Error {
  readonly sentences: readonly string[];
  constructor(sentences: readonly string[]) {
    super(sentences.join('; '));
    this.sentences = sentences;
  }
}

/**
 * Holds every body and query against its class, and knows no member that the class does not.
 *
 * @throws {Refusal} `invalid-body` or `invalid-query`, naming each member by its path
 */
@Injectable()
export class ShapePipe extends ValidationPipe {
  constructor() {
    super({
      whitelist: true,
      forbidNonWhitelisted: true,
      transform: true,
      stopAtFirstError: true,
      exceptionFactory: (errors) => new Misshapen(errors.flatMap((error) => sentencesOf(error, ''))),
    });
  }

  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'query') {
      requirePlain(value);
      if (isEmpty(value) && metadata.metatype) return new metadata.metatype(); // No parameter is ever required.
    }
    try {
      return await super.transform(value, metadata);
    } catch (error) {
      if (!(error instanceof Misshapen)) throw error;
      const code = metadata.type === 'query' ? 'invalid-query' : 'invalid-body';
      const errors = error.sentences.slice(0, SENTENCES_MAX);
      throw new Refusal(code, errors.join('; '), { errors });
    }
  }

  /** The body's reader has refused such keys wherever they could do harm; as the key of a label they are data. */
  protected override stripProtoKeys(): void {}
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/** What the transformer would pass over in silence is refused before it comes there. */
function requirePlain(query: unknown): void {
  const names = typeof query === 'object' && query !== null ? query : {};
  const repeated = repeatedIn(names);
  if (repeated.length > 0)
    throw new Refusal('invalid-query', `given more than once: ${repeated.join(', ')}`, { errors: repeated });
  const reserved = Object.keys(names).find((name) => RESERVED_NAMES.has(name));
  if (reserved !== undefined)
    throw new Refusal('invalid-query', `property ${reserved} should not exist`, { errors: [reserved] });
}

/** One sentence for each rule that was broken, e.g. `disks[0].device must be a string`. */
function sentencesOf({ property, constraints, children }: ValidationError, within: string): string[] {
  const path = /^\d+$/.test(property)
    ? `${within}[${property}]`
    : within
      ? `${within}.${property}`
      : property;
  const own = Object.values(constraints ?? {}).map((sentence) => sentence.replace(property, path));
  return [...own, ...(children ?? []).flatMap((child) => sentencesOf(child, path))];
}
