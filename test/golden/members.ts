import { z } from 'zod';

/**
 * The members that none of these values has, each as the paths it could stand at. One that stands at several, because
 * the shape around it does, is told when it is told once.
 */
export function untoldMembers(schemas: readonly z.ZodType[], values: readonly unknown[]): string[] {
  const told = new Map<z.ZodObject, Set<string>>();
  const paths = new Map<z.ZodObject, string>();
  for (const schema of schemas) name(schema, '', paths);
  for (const schema of schemas) for (const value of values) hear(schema, value, told);
  return [...paths].flatMap(([shape, path]) =>
    Object.keys(shape.shape)
      .filter((member) => !told.get(shape)?.has(member))
      .map((member) => `${path}.${member}`),
  );
}

/** Every object shape inside, by where it is met first. */
function name(schema: z.ZodType, path: string, paths: Map<z.ZodObject, string>): void {
  if (!(schema instanceof z.ZodObject)) {
    for (const inner of insidesOf(schema)) name(inner, path, paths);
    return;
  }
  if (paths.has(schema)) return;
  const { type } = schema.shape;
  const at = type instanceof z.ZodLiteral ? String(type.value) : path;
  paths.set(schema, at);
  for (const [member, inner] of Object.entries(schema.shape)) {
    name(inner as z.ZodType, `${at}.${member}`, paths);
  }
}

/** Notes which members the value has. */
function hear(schema: z.ZodType, value: unknown, told: Map<z.ZodObject, Set<string>>): void {
  if (value === null) return;
  if (!(schema instanceof z.ZodObject)) {
    const isMany = schema instanceof z.ZodArray || schema instanceof z.ZodRecord;
    const parts = isMany ? Object.values(value as object) : [value];
    for (const inner of insidesOf(schema)) for (const part of parts) hear(inner, part, told);
    return;
  }
  if (!schema.safeParse(value).success) return;
  const members = told.get(schema) ?? new Set();
  told.set(schema, members);
  const has = value as Readonly<Record<string, unknown>>;
  for (const [member, inner] of Object.entries(schema.shape)) {
    if (has[member] === undefined) continue;
    members.add(member);
    hear(inner as z.ZodType, has[member], told);
  }
}

/** What a shape is wrapped around, or chooses from. */
function insidesOf(schema: z.ZodType): readonly z.ZodType[] {
  if (schema instanceof z.ZodDiscriminatedUnion) return schema.options as z.ZodType[];
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return [schema.unwrap() as z.ZodType];
  if (schema instanceof z.ZodArray) return [schema.element as z.ZodType];
  if (schema instanceof z.ZodRecord) return [schema.valueType as z.ZodType];
  return [];
}
