/**
 * JSON Schemas with the types of what they describe: `t.object({ name: t.string("The name.") })`.
 *
 * A builder of our own, and none of the known ones: a tool's arguments are checked by the host before the plugin
 * sees them, so that a plugin needs a schema and a type, and hardly a check. zod is 60 KB and more, which would be
 * in the memory of each sandbox. Whoever has schemas already passes them by `t.raw`.
 *
 * @module
 */

/** A JSON Schema. */
export type JsonSchema = Record<string, unknown>;

declare const type: unique symbol;

/** A JSON Schema that describes a `T`. */
export interface Schema<T> {
  readonly json: JsonSchema;
  /** True if it is a field that may be absent. */
  readonly isOptional?: boolean;
  /** Only for types. */
  readonly [type]?: T;
}

/** The type that a schema describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

/** The description, or that and further keywords of JSON Schema. */
export type Doc = string | ({ description?: string } & JsonSchema);

type Optional<T> = Schema<T> & { readonly isOptional: true };
type Fields = Record<string, Schema<unknown>>;
type Flat<T> = { [K in keyof T]: T[K] };
type ObjectOf<F extends Fields> = Flat<
  { [K in keyof F as F[K] extends Optional<unknown> ? never : K]: Infer<F[K]> } & {
    [K in keyof F as F[K] extends Optional<unknown> ? K : never]?: Infer<F[K]>;
  }
>;

function schema<T>(json: JsonSchema, doc?: Doc): Schema<T> {
  return { json: { ...json, ...(typeof doc === "string" ? { description: doc } : doc) } };
}

/** Builders of schemas. Each takes a description, or further keywords: `t.integer({ description: "…", minimum: 1 })`. */
export const t = {
  /** A text. */
  string: (doc?: Doc): Schema<string> => schema({ type: "string" }, doc),
  /** A whole number of up to 53 bits. */
  integer: (doc?: Doc): Schema<number> => schema({ type: "integer" }, doc),
  /** A whole number of 64 bits: a `bigint` where it is too large for a `number`. */
  bigint: (doc?: Doc): Schema<number | bigint> => schema({ type: "integer" }, doc),
  /** A number. */
  number: (doc?: Doc): Schema<number> => schema({ type: "number" }, doc),
  /** `true` or `false`. */
  boolean: (doc?: Doc): Schema<boolean> => schema({ type: "boolean" }, doc),
  /** Nothing. */
  null: (doc?: Doc): Schema<null> => schema({ type: "null" }, doc),
  /** Any JSON. */
  any: (doc?: Doc): Schema<unknown> => schema({}, doc),
  /** One of several texts. */
  enum: <const T extends string>(values: readonly T[], doc?: Doc): Schema<T> =>
    schema({ type: "string", enum: values }, doc),
  /** A list. */
  array: <T>(items: Schema<T>, doc?: Doc): Schema<T[]> => schema({ type: "array", items: items.json }, doc),
  /** An object with any names and values of one type. */
  record: <T>(values: Schema<T>, doc?: Doc): Schema<Record<string, T>> =>
    schema({ type: "object", additionalProperties: values.json }, doc),
  /** An object with these fields and no others. */
  object: <F extends Fields>(fields: F, doc?: Doc): Schema<ObjectOf<F>> => {
    const names = Object.keys(fields);
    const required = names.filter((name) => !fields[name]?.isOptional);
    return schema(
      {
        type: "object",
        properties: Object.fromEntries(names.map((name) => [name, fields[name]?.json])),
        ...(required.length ? { required } : {}),
        additionalProperties: false,
      },
      doc,
    );
  },
  /** One of several. */
  union: <const S extends readonly Schema<unknown>[]>(schemas: S, doc?: Doc): Schema<Infer<S[number]>> =>
    schema({ anyOf: schemas.map((one) => one.json) }, doc),
  /** A field that may be absent. */
  optional: <T>(of: Schema<T>): Optional<T> => ({ json: of.json, isOptional: true }),
  /** A JSON Schema from elsewhere, such as `z.toJSONSchema(…)` of zod, with the type that it describes. */
  raw: <T = unknown>(json: JsonSchema): Schema<T> => ({ json }),
};

/**
 * Holds a value against the part of JSON Schema that `t` makes: types, fields and choices. The host knows all of it.
 * Returns the problem, or nothing.
 */
export function problemOf(json: JsonSchema, value: unknown, path = "$"): string | undefined {
  const { type: expected, properties, required, items, additionalProperties } = json as {
    type?: string;
    properties?: Record<string, JsonSchema>;
    required?: string[];
    items?: JsonSchema;
    additionalProperties?: boolean | JsonSchema;
    enum?: unknown[];
  };
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const fits: Record<string, boolean> = {
    string: typeof value === "string",
    integer: typeof value === "bigint" || Number.isInteger(value),
    number: typeof value === "number",
    boolean: typeof value === "boolean",
    null: value === null,
    array: Array.isArray(value),
    object: isObject,
  };
  if (typeof expected === "string" && fits[expected] === false) return `${path}: expected ${expected}`;
  if (Array.isArray(json["enum"]) && !json["enum"].includes(value)) {
    return `${path}: expected one of ${json["enum"].join(", ")}`;
  }
  if (Array.isArray(value) && items) {
    for (const [at, item] of value.entries()) {
      const problem = problemOf(items, item, `${path}[${at}]`);
      if (problem) return problem;
    }
  }
  if (!isObject) return undefined;
  const fields = value as Record<string, unknown>;
  const missing = required?.find((name) => fields[name] === undefined);
  if (missing !== undefined) return `${path}.${missing}: missing`;
  for (const [name, field] of Object.entries(fields)) {
    if (field === undefined) continue;
    const known = properties && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
    if (known === false) return `${path}.${name}: there is no such field`;
    const problem = typeof known === "object" ? problemOf(known, field, `${path}.${name}`) : undefined;
    if (problem) return problem;
  }
  return undefined;
}
