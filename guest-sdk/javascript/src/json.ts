/**
 * JSON with whole numbers of 64 bits.
 *
 * `JSON.parse` makes a double of each number, so that 9007199254740993 becomes ...992. Here a whole number that no
 * `number` is equal to becomes a `bigint`, and a `bigint` is written as its digits. Texts without 16 digits in a row
 * cannot hold such a number, and are left to `JSON.parse`.
 *
 * @module
 */

import { kernel } from "./host.js";

/** The deepest nesting that is read and written, as in the host. */
const DEEPEST = 128;

const LONG_NUMBER = /[0-9]{16}/;

function hasLongNumber(text: string): boolean {
  return kernel ? kernel.hasLongNumber(text) : LONG_NUMBER.test(text);
}

/**
 * Reads JSON.
 *
 * @throws SyntaxError if it is not JSON, or nested more than 128 deep.
 */
export function parse(text: string): unknown {
  if (hasLongNumber(text)) return new Reader(text).whole();
  const value: unknown = JSON.parse(text);
  checkDepth(value, 0);
  return value;
}

function checkDepth(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth >= DEEPEST) throw new SyntaxError(`JSON: nested more than ${DEEPEST} deep`);
  if (Array.isArray(value)) {
    for (const item of value) checkDepth(item, depth + 1);
  } else {
    for (const key in value) checkDepth((value as Record<string, unknown>)[key], depth + 1);
  }
}

/**
 * Writes JSON.
 *
 * @throws TypeError if there is no JSON for it, such as a function or a value that contains itself.
 */
export function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    // There is a bigint in it, or it contains itself, which the writer notices.
    if (!(error instanceof TypeError)) throw error;
    return write(value, 0);
  }
  if (text === undefined) throw new TypeError("JSON: there is none for a function, a symbol or nothing");
  // A double beyond 2^53 would be written as a whole number, and `\ud800` is half a character.
  return hasLongNumber(text) || text.includes("\\ud") ? write(value, 0) : text;
}

/** A text without halves of surrogate pairs, which are no characters: U+FFFD stands in their place. */
export function wellFormed(text: string): string {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
}

function write(value: unknown, depth: number): string {
  if (depth > DEEPEST) throw new TypeError(`JSON: nested more than ${DEEPEST} deep, or containing itself`);
  switch (typeof value) {
    case "string":
      return JSON.stringify(wellFormed(value));
    case "bigint":
      return value.toString();
    case "number":
      return writeNumber(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      break;
    default:
      return "null";
  }
  if (value === null) return "null";
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return write(toJSON.call(value, ""), depth + 1);
  // Loops, and no callbacks: each function that is called takes of the script's stack.
  let text = "";
  if (Array.isArray(value)) {
    for (const item of value) text += `${text && ","}${write(item, depth + 1)}`;
    return `[${text}]`;
  }
  for (const key of Object.keys(value)) {
    const field: unknown = (value as Record<string, unknown>)[key];
    if (field === undefined || typeof field === "function" || typeof field === "symbol") continue;
    text += `${text && ","}${JSON.stringify(wellFormed(key))}:${write(field, depth + 1)}`;
  }
  return `{${text}}`;
}

/** A double beyond 2^53 with an exponent, so that nobody takes its digits for exact. */
function writeNumber(value: number): string {
  if (!Number.isFinite(value)) return "null";
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : JSON.stringify(value);
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;

/** A reader of JSON that keeps every digit of whole numbers. */
class Reader {
  private at = 0;

  constructor(private readonly text: string) {}

  /** The value that the whole text is. What is begun is kept in lists: a script's stack is small. */
  whole(): unknown {
    const outer: (unknown[] | Record<string, unknown>)[] = [];
    const keys: string[] = [];
    for (;;) {
      this.space();
      const first = this.text[this.at];
      let value: unknown;
      if (first === "[" || first === "{") {
        if (outer.length >= DEEPEST) throw new SyntaxError(`JSON: nested more than ${DEEPEST} deep`);
        this.at += 1;
        const begun = first === "[" ? [] : {};
        const isEmpty = this.take(first === "[" ? "]" : "}");
        if (!isEmpty) {
          outer.push(begun);
          if (first === "{") keys.push(this.key());
          continue;
        }
        value = begun;
      } else {
        value = this.scalar(first);
      }
      // The value ends what it is the last of.
      for (;;) {
        const of = outer.at(-1);
        if (!of) {
          this.space();
          if (this.at < this.text.length) this.fail();
          return value;
        }
        const isList = Array.isArray(of);
        if (isList) of.push(value);
        else setField(of, keys.pop() as string, value);
        if (this.take(",")) {
          if (!isList) keys.push(this.key());
          break;
        }
        if (!this.take(isList ? "]" : "}")) this.fail();
        value = outer.pop();
      }
    }
  }

  private key(): string {
    this.space();
    if (this.text[this.at] !== '"') this.fail();
    const key = this.string();
    if (!this.take(":")) this.fail();
    return key;
  }

  private fail(): never {
    const found = this.at < this.text.length ? `unexpected ${JSON.stringify(this.text[this.at])}` : "it ends too early";
    throw new SyntaxError(`JSON: ${found} at ${this.at}`);
  }

  private space(): void {
    // Most JSON that machines write has none.
    if (this.text.charCodeAt(this.at) > 32) return;
    SPACE.lastIndex = this.at;
    SPACE.test(this.text);
    this.at = SPACE.lastIndex;
  }

  private take(character: string): boolean {
    this.space();
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private scalar(first: string | undefined): unknown {
    switch (first) {
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail();
    this.at += word.length;
    return value;
  }

  private number(): number | bigint {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (!found) this.fail();
    this.at = NUMBER.lastIndex;
    const [digits, fraction, exponent] = found;
    const value = Number(digits);
    return fraction || exponent || Number.isSafeInteger(value) ? value : BigInt(digits);
  }

  private string(): string {
    const { text, at } = this;
    let end = at;
    let isEscaped: boolean;
    do {
      end = text.indexOf('"', end + 1);
      if (end < 0) this.fail();
      let backslash = end - 1;
      while (text[backslash] === "\\") backslash -= 1;
      isEscaped = (end - 1 - backslash) % 2 === 1;
    } while (isEscaped);
    this.at = end + 1;
    return JSON.parse(text.slice(at, end + 1)) as string;
  }
}

/** Sets a field of an object; `__proto__` is a name as any other. */
export function setField(fields: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    fields[key] = value;
  }
}
