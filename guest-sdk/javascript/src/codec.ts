/**
 * Codecs: what the contract's types look like in JSON. A value that does not fit is an error that says where.
 *
 * The generated types are marked as pure, so that a bundler leaves out those that a plugin does not use.
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from "./host.js";
import { parse, setField, stringify } from "./json.js";

/** A whole number of 64 bits: a `bigint` where it is too large for a `number`. */
export type Integer = number | bigint;

/** A value does not fit its type. */
export class CodecError extends Error {
  override name = "CodecError";
  /** The place and the problem, such as `$.items[3].name: missing`. */
  override message: string;

  constructor(
    /** The problem. */
    readonly problem: string,
    /** The place, from the inside to the outside. */
    private readonly path: (string | number)[] = [],
  ) {
    super();
    this.message = `$: ${problem}`;
  }

  /** The same error, of a value within another. */
  within(key: string | number): this {
    this.path.push(key);
    const steps = this.path.toReversed().map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`));
    this.message = `$${steps.join("")}: ${this.problem}`;
    return this;
  }
}

/** A type's form in JSON. */
export interface Codec<T> {
  /** Makes a value of what `JSON.parse` gives. */
  fromJson(json: unknown): T;
  /** Makes what `JSON.stringify` takes of a value. */
  toJson(value: T): unknown;
}

/** Reads a value from JSON. */
export function decode<T>(codec: Codec<T>, json: string): T {
  let value: unknown;
  try {
    value = parse(json);
  } catch (error) {
    throw new CodecError(error instanceof Error ? error.message : String(error));
  }
  return codec.fromJson(value);
}

/** Writes a value as JSON. */
export function encode<T>(codec: Codec<T>, value: T): string {
  return stringify(codec.toJson(value));
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function unfit(expected: string, value: unknown): never {
  throw new CodecError(`expected ${expected}, got ${kindOf(value)}`);
}

/** The error with the place of the value that it is of. */
function located(error: unknown, key: string | number): unknown {
  return error instanceof CodecError ? error.within(key) : error;
}

function primitive<T>(expected: string, type: string): Codec<T> {
  const check = (value: unknown): T => {
    // eslint-disable-next-line valid-typeof
    if (typeof value !== type) unfit(expected, value);
    return value as T;
  };
  return { fromJson: check, toJson: check };
}

/** `true` or `false`. */
export const bool: Codec<boolean> = /* @__PURE__ */ primitive("a boolean", "boolean");

/** A text. */
export const text: Codec<string> = /* @__PURE__ */ primitive("a text", "string");

/** Any JSON. */
export const json: Codec<unknown> = {
  fromJson: (value) => value,
  toJson: (value) => (value === undefined ? null : value),
};

/** Bytes, in JSON as base64. */
export const bytes: Codec<Uint8Array> = {
  fromJson(value) {
    if (typeof value !== "string") unfit("a text in base64", value);
    const decoded = decodeBase64(value);
    if (!decoded) throw new CodecError("the text is not base64");
    return decoded;
  },
  toJson(value) {
    if (!(value instanceof Uint8Array)) unfit("a Uint8Array", value);
    return encodeBase64(value);
  },
};

function integer<T extends Integer>(least: bigint, greatest: bigint): Codec<T> {
  // Numbers are compared with numbers alone, and bigints with bigints: to QuickJS-ng 0.17 -5 is greater than -3n.
  const [leastNumber, greatestNumber] = [Number(least), Number(greatest)];
  const check = (value: unknown): T => {
    let fits: boolean;
    if (typeof value === "number") {
      if (!Number.isInteger(value)) throw new CodecError(`${value} is not a whole number`);
      fits = value >= leastNumber && value <= greatestNumber;
      if (fits && !Number.isSafeInteger(value)) throw new CodecError(`${value} is not exact: use a bigint`);
    } else if (typeof value === "bigint") {
      fits = value >= least && value <= greatest;
    } else {
      unfit("a whole number", value);
    }
    if (!fits) throw new CodecError(`${value} is not between ${least} and ${greatest}`);
    const isExact = typeof value === "bigint" && value >= -9007199254740991n && value <= 9007199254740991n;
    return (isExact ? Number(value) : value) as T;
  };
  return { fromJson: check, toJson: check };
}

export const i16: Codec<number> = /* @__PURE__ */ integer(-0x8000n, 0x7fffn);
export const i32: Codec<number> = /* @__PURE__ */ integer(-0x8000_0000n, 0x7fff_ffffn);
export const i64: Codec<Integer> = /* @__PURE__ */ integer(-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn);
export const u16: Codec<number> = /* @__PURE__ */ integer(0n, 0xffffn);
export const u32: Codec<number> = /* @__PURE__ */ integer(0n, 0xffff_ffffn);
export const u64: Codec<Integer> = /* @__PURE__ */ integer(0n, 0xffff_ffff_ffff_ffffn);

/** A list. */
export function list<T>(item: Codec<T>): Codec<T[]> {
  const each = (values: unknown, convert: (value: unknown) => unknown): unknown[] => {
    if (!Array.isArray(values)) unfit("a list", values);
    const converted: unknown[] = [];
    for (let at = 0; at < values.length; at++) {
      try {
        converted.push(convert(values[at]));
      } catch (error) {
        throw located(error, at);
      }
    }
    return converted;
  };
  return {
    fromJson: (values) => each(values, item.fromJson) as T[],
    toJson: (values) => each(values, item.toJson as (value: unknown) => unknown),
  };
}

/** A map from texts. */
export function map<T>(item: Codec<T>): Codec<Record<string, T>> {
  const each = (values: unknown, convert: (value: unknown) => unknown): Record<string, unknown> => {
    const converted: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(object(values))) {
      try {
        setField(converted, key, convert(value));
      } catch (error) {
        throw located(error, key);
      }
    }
    return converted;
  };
  return {
    fromJson: (values) => each(values, item.fromJson) as Record<string, T>,
    toJson: (values) => each(values, item.toJson as (value: unknown) => unknown),
  };
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) unfit("an object", value);
  return value as Record<string, unknown>;
}

/** A field: its name, its codec, 0 or nothing if it is required, 1 if it is optional, 2 if absence is the default. */
export type Field = readonly [name: string, codec: Codec<unknown>, presence?: 0 | 1 | 2, standard?: unknown];

function readFields(fields: readonly Field[], from: Record<string, unknown>, into: Record<string, unknown>): void {
  let name = "";
  try {
    for (const field of fields) {
      name = field[0];
      const presence = field[2];
      let value = Object.hasOwn(from, name) ? from[name] : undefined;
      if (value === undefined || (value === null && presence)) {
        if (presence === 1) continue;
        if (presence !== 2) throw new CodecError("missing");
        value = Array.isArray(field[3]) ? [] : typeof field[3] === "object" && field[3] ? {} : field[3];
      }
      into[name] = field[1].fromJson(value);
    }
  } catch (error) {
    throw located(error, name);
  }
}

function writeFields(fields: readonly Field[], from: Record<string, unknown>, into: Record<string, unknown>): void {
  let name = "";
  try {
    for (const field of fields) {
      name = field[0];
      const value = from[name];
      const isAbsent = value === undefined || (value === null && field[2]);
      if (isAbsent && field[2]) continue;
      if (isAbsent && field[1] !== (json as unknown)) throw new CodecError("missing");
      into[name] = field[1].toJson(value);
    }
  } catch (error) {
    throw located(error, name);
  }
}

/** An object with these fields; others are ignored. */
export function record<T>(_name: string, fields: readonly Field[]): Codec<T> {
  return {
    fromJson(value) {
      const read = {};
      readFields(fields, object(value), read);
      return read as T;
    },
    toJson(value) {
      const written = {};
      writeFields(fields, object(value), written);
      return written;
    },
  };
}

/** One of several texts. */
export function enumeration<T extends string>(name: string, constants: readonly T[]): Codec<T> {
  const check = (value: unknown): T => {
    if (typeof value !== "string") unfit("a text", value);
    if (!constants.includes(value as T)) throw new CodecError(`\`${value}\` is no ${name}`);
    return value as T;
  };
  return { fromJson: check, toJson: check };
}

/** One of several objects, told apart by the text of a field. */
export function union<T>(
  name: string,
  tag: string,
  payload: string | undefined,
  variants: Record<string, Codec<unknown> | readonly Field[] | undefined>,
): Codec<T> {
  const convert = (value: unknown, fields: typeof readFields): unknown => {
    const from = object(value);
    const kind = from[tag];
    const into: Record<string, unknown> = { [tag]: kind };
    if (kind === undefined) throw new CodecError("missing").within(tag);
    if (typeof kind !== "string" || !Object.hasOwn(variants, kind)) {
      throw new CodecError(`\`${String(kind)}\` is no ${name}`).within(tag);
    }
    const variant = variants[kind];
    if (!variant) return into;
    if (Array.isArray(variant)) {
      fields(variant as readonly Field[], from, into);
    } else {
      fields([[payload ?? "", variant as Codec<unknown>]], from, into);
    }
    return into;
  };
  return {
    fromJson: (value) => convert(value, readFields) as T,
    toJson: (value) => convert(value, writeFields),
  };
}
