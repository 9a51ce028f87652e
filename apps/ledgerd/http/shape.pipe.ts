import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError, type ValidatorOptions } from 'class-validator';
import { Refusal } from '#ledger';
import { repeatedIn } from './read-query.ts';
import { RESERVED_NAMES } from './reserved.ts';

/** Sentences of one refusal: enough to mend a request, not enough to flood a terminal. */
const SENTENCES_MAX = 8;

const RULES: ValidatorOptions = {
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: false, // It would refuse the classes that have no members.
  stopAtFirstError: true,
  validationError: { target: false, value: false },
};

/**
 * Holds every body and query against its class, and knows no member that the class does not. Nest's own pipe does
 * the same in several turns, and looks for dangers that the readers of bodies and queries have refused already.
 *
 * @throws {Refusal} `invalid-body` or `invalid-query`, naming each member by its path
 */
export class ShapePipe implements PipeTransform {
  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if (metatype === undefined || (type !== 'body' && type !== 'query')) return value;
    if (type === 'query') {
      if (isEmpty(value)) return new metatype(); // No parameter is ever required.
      requirePlain(value);
    }
    const shaped: object = plainToInstance(metatype, value ?? {});
    const sentences = validateSync(shaped, RULES).flatMap((error) => sentencesOf(error, ''));
    if (sentences.length === 0) return shaped;
    const errors = sentences.slice(0, SENTENCES_MAX);
    throw new Refusal(type === 'query' ? 'invalid-query' : 'invalid-body', errors.join('; '), { errors });
  }
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
