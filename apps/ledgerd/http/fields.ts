import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
  ValidateBy,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { isUuidShaped } from '#ledger';
import { parseRfc3339 } from '#world';

/** Members of one list in a body. */
const LIST_MAX = 64;
const PATH_MAX = 4096;
const TEXT_MAX = 1024 * 1024;
// oxlint-disable-next-line no-control-regex
const WITHOUT_CONTROLS = /^[^\u0000-\u001f\u007f]+$/;
const WHOLE_NUMBER = /^\d{1,15}$/;

/** What the shape of a member says in OpenAPI, and whether it may be absent. */
export interface About {
  readonly says: string;
  readonly isRequired?: true;
}

/** Absent is fine, `null` is not: it would have to mean something. */
const Optional = (): PropertyDecorator => ValidateIf((_, value: unknown) => value !== undefined);

const member = (
  { says, isRequired }: About,
  schema: ApiPropertyOptions,
  ...rules: PropertyDecorator[]
): PropertyDecorator =>
  applyDecorators(
    ApiProperty({ ...schema, description: says, required: isRequired ?? false } as ApiPropertyOptions),
    ...(isRequired ? [] : [Optional()]),
    ...rules,
  );

/** Any text up to `max` UTF-16 units. What a name may be is the ledger's to say. */
export const Text = (about: About & { readonly min?: number; readonly max?: number }): PropertyDecorator =>
  member(about, { type: String }, IsString(), MinLength(about.min ?? 0), MaxLength(about.max ?? TEXT_MAX));

/** One line that may not be empty. */
export const Line = (about: About & { readonly max?: number }): PropertyDecorator =>
  member(
    about,
    { type: String, minLength: 1, maxLength: about.max ?? PATH_MAX },
    IsString(),
    MinLength(1),
    MaxLength(about.max ?? PATH_MAX),
    Matches(WITHOUT_CONTROLS, { message: '$property must not contain control characters' }),
  );

/** A line that may be taken away with `null`. */
export const LineOrNull = (about: About): PropertyDecorator =>
  applyDecorators(
    ApiProperty({ type: String, nullable: true, required: false, description: about.says }),
    ValidateIf((_, value: unknown) => value !== undefined && value !== null),
    IsString(),
    MinLength(1),
    MaxLength(PATH_MAX),
    Matches(WITHOUT_CONTROLS, { message: '$property must not contain control characters' }),
  );

export const Choice = (values: readonly string[], about: About): PropertyDecorator =>
  member(about, { type: String, enum: [...values] }, IsIn(values));

export const Flag = (about: About): PropertyDecorator => member(about, { type: Boolean }, IsBoolean());

/** A UUID; kept in lower case, as our own are. */
export const Id = (about: About): PropertyDecorator =>
  member(
    about,
    { type: String, format: 'uuid' },
    Transform(({ value }) => (typeof value === 'string' ? value.toLowerCase() : value)),
    check('isId', isUuid, '$property must be a UUID'),
  );

/** Text by text, whatever the keys are called. How many and how long is the ledger's to say. */
export const LabelMap = (about: About): PropertyDecorator =>
  member(
    about,
    { type: 'object', additionalProperties: { type: 'string' } },
    rawMember(),
    check('isLabels', isTextByText, '$property must be an object whose values are strings'),
  );

export const ListOf = (item: () => new () => object, about: About): PropertyDecorator =>
  member(
    about,
    { type: () => item(), isArray: true, maxItems: LIST_MAX },
    Type(item),
    IsArray(),
    ArrayMaxSize(LIST_MAX),
    check('isListOfObjects', isListOfObjects, '$property must be a list of objects'),
    ValidateNested({ each: true }),
  );

/** Texts as they are: the names of foreign snapshots follow no rule of ours. */
export const TextList = (about: About): PropertyDecorator =>
  member(
    about,
    { type: String, isArray: true, maxItems: LIST_MAX },
    IsArray(),
    ArrayMaxSize(LIST_MAX),
    IsString({ each: true }),
    MinLength(1, { each: true }),
  );

/** A whole number as a query says it. */
export const NumberInQuery = (about: About & { readonly min: number; readonly max: number }) =>
  member(
    about,
    { type: 'integer', minimum: about.min, maximum: about.max },
    Transform(({ value }) => (typeof value === 'string' && WHOLE_NUMBER.test(value) ? Number(value) : value)),
    IsInt(),
    Min(about.min),
    Max(about.max),
  );

/** `true` or `false` as a query says it. */
export const FlagInQuery = (about: About): PropertyDecorator =>
  member(
    about,
    { type: Boolean },
    Transform(({ value }) => (value === 'true' ? true : value === 'false' ? false : value)),
    IsBoolean(),
  );

/** Some of the values, separated by commas. */
export const ChoicesInQuery = (values: readonly string[], about: About): PropertyDecorator =>
  member(
    about,
    { type: String, example: values.slice(0, 2).join(',') },
    Transform(({ value }) => (typeof value === 'string' ? value.split(',') : value)),
    IsIn(values, { each: true }),
  );

/** An instant (RFC 3339), as milliseconds since 1970. */
export const InstantInQuery = (about: About): PropertyDecorator =>
  member(
    about,
    { type: String, format: 'date-time' },
    Transform(({ value }) => (typeof value === 'string' ? (parseRfc3339(value) ?? value) : value)),
    check('isInstant', (value) => typeof value === 'number', '$property must be a time as in RFC 3339'),
  );

/** Every `label.KEY=VALUE` of a query. */
export const LabelsInQuery = (about: About): PropertyDecorator =>
  member(about, { type: 'object', additionalProperties: { type: 'string' } }, rawMember());

const check = (name: string, validate: (value: unknown) => boolean, message: string): PropertyDecorator =>
  ValidateBy({ name, validator: { validate, defaultMessage: () => message } });

/** As it was sent: the transformer would leave out keys such as `constructor`, or take them for a class. */
const rawMember = (): PropertyDecorator =>
  applyDecorators(
    Type(() => Object),
    Transform(({ obj, key }: { obj: object; key: string }): unknown =>
      Object.hasOwn(obj, key) ? (obj as Record<string, unknown>)[key] : undefined,
    ),
  );

const isUuid = (value: unknown): boolean => typeof value === 'string' && isUuidShaped(value);

const isListOfObjects = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((item) => typeof item === 'object' && item !== null && !Array.isArray(item));

function isTextByText(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === 'string');
}
