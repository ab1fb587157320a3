/**
 * JSON, read from UTF-8 and written as UTF-8. Whole numbers of 64 bits are exact, and values that a type leaves open
 * are kept as they are written ({@link Json}).
 *
 * There are no exceptions in AssemblyScript: a reader that has failed gives empty values, and says why at the end.
 */

/** The deepest nesting, as in the host. */
const DEEPEST: i32 = 128;

/** Any JSON, as its text. */
export class Json {
  constructor(
    /** The JSON. */
    readonly text: string = "null",
  ) {}

  /** The JSON of a text. */
  static ofText(value: string): Json {
    const writer = new JsonWriter();
    writer.string(value);
    return new Json(writer.toString());
  }

  /** A reader of it. */
  reader(): JsonReader {
    return new JsonReader(String.UTF8.encode(this.text));
  }

  /** The text that it is, or nothing if it is something else. */
  asText(): string | null {
    const reader = this.reader();
    const text = reader.string();
    return reader.finish() ? text : null;
  }

  /** A field of the object that it is, or nothing if it is none or has no such field. */
  field(name: string): Json | null {
    const reader = this.reader();
    let found: Json | null = null;
    reader.beginObject();
    while (reader.nextKey()) {
      if (reader.key == name) found = reader.json();
      else reader.skip();
    }
    return reader.finish() ? found : null;
  }

  get isNull(): bool {
    return this.text == "null";
  }
}

/** Holds a number or a boolean where there may be none: only references may be null. */
export class Box<T> {
  constructor(
    /** The number or boolean. */
    public value: T,
  ) {}
}

/** A number or a boolean in a field that may be absent. */
export function some<T>(value: T): Box<T> {
  return new Box<T>(value);
}

/** A reader of JSON. */
export class JsonReader {
  /** The problem with its place, or empty. */
  problem: string = "";
  /** The key that {@link nextKey} has read. */
  key: string = "";
  private at: usize;
  private readonly end: usize;
  private depth: i32 = 0;
  private readonly isFirst: StaticArray<bool> = new StaticArray<bool>(DEEPEST + 1);
  /** The keys that lead to the value, `[` in front of an index. */
  private readonly path: StaticArray<string> = new StaticArray<string>(DEEPEST + 1);
  private readonly indexes: StaticArray<i32> = new StaticArray<i32>(DEEPEST + 1);

  /** A reader of bytes, without so many at the front and the back. */
  constructor(
    private readonly bytes: ArrayBuffer,
    front: i32 = 0,
    back: i32 = 0,
  ) {
    this.at = changetype<usize>(bytes) + front;
    this.end = changetype<usize>(bytes) + bytes.byteLength - back;
  }

  /** True if something did not fit. */
  get failed(): bool {
    return this.problem.length > 0;
  }

  /** Reports a problem with the value that is read. The first one counts. */
  fail(problem: string): void {
    if (!this.failed) this.problem = `${this.place()}: ${problem}`;
  }

  /** Reports a field that is not there, of the object that was read last. */
  missing(name: string): void {
    if (!this.failed) this.problem = `${this.place()}.${name}: missing`;
  }

  /** Reports a problem with a field of the value that was read last. */
  failAt(name: string, problem: string): void {
    if (!this.failed) this.problem = `${this.place()}.${name}: ${problem}`;
  }

  /** Reports the problem of another reader, which has read a part of this. */
  failWithin(problem: string): void {
    if (!this.failed) this.problem = this.place() + problem.slice(1);
  }

  private place(): string {
    let place = "$";
    for (let level = 0; level < this.depth; level++) {
      const index = this.indexes[level];
      place += index >= 0 ? `[${index}]` : index === -1 ? `.${this.path[level]}` : "";
    }
    return place;
  }

  /** True if all of it was read, and fits. */
  finish(): bool {
    this.space();
    if (!this.failed && this.at < this.end) this.unexpected();
    return !this.failed;
  }

  @inline
  private peek(): i32 {
    return this.at < this.end ? (load<u8>(this.at) as i32) : -1;
  }

  private space(): void {
    while (this.at < this.end) {
      const byte = load<u8>(this.at);
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.at++;
    }
  }

  private unexpected(): void {
    const byte = this.peek();
    this.fail(byte < 0 ? "the JSON ends too early" : `unexpected byte ${byte} in the JSON`);
  }

  private expect(byte: i32): void {
    if (this.failed) return;
    this.space();
    if (this.peek() === byte) this.at++;
    else this.unexpected();
  }

  private kind(): string {
    switch (this.peek()) {
      case 0x22:
        return "a text";
      case 0x7b:
        return "an object";
      case 0x5b:
        return "a list";
      case 0x74:
      case 0x66:
        return "a boolean";
      case 0x6e:
        return "null";
      case -1:
        return "nothing";
      default:
        return "a number";
    }
  }

  /** True if a value begins that is of the kind that is expected; a failure otherwise. */
  private begins(byte: i32, expected: string): bool {
    if (this.failed) return false;
    this.space();
    if (this.peek() === byte) return true;
    this.fail(`expected ${expected}, got ${this.kind()}`);
    return false;
  }

  private enter(): bool {
    if (this.depth >= DEEPEST) {
      this.fail("the JSON is nested more than 128 deep");
      return false;
    }
    this.at++;
    this.isFirst[this.depth] = true;
    this.indexes[this.depth] = -2;
    this.depth++;
    return true;
  }

  /** Begins an object, whose fields {@link nextKey} goes through. */
  beginObject(): void {
    if (this.begins(0x7b, "an object")) this.enter();
  }

  /** Goes to the next field of an object; false at its end. */
  nextKey(): bool {
    if (!this.nextPart(0x7d)) return false;
    this.space();
    if (this.peek() !== 0x22) {
      this.unexpected();
      return false;
    }
    this.key = this.string();
    this.expect(0x3a);
    this.path[this.depth - 1] = this.key;
    this.indexes[this.depth - 1] = -1;
    return !this.failed;
  }

  /** Begins a list, whose items {@link nextItem} goes through. */
  beginArray(): void {
    if (this.begins(0x5b, "a list")) this.enter();
  }

  /** Goes to the next item of a list; false at its end. */
  nextItem(): bool {
    if (!this.nextPart(0x5d)) return false;
    const level = this.depth - 1;
    this.indexes[level] = max(this.indexes[level], -1) + 1;
    return true;
  }

  private nextPart(end: i32): bool {
    if (this.failed) return false;
    this.space();
    const level = this.depth - 1;
    if (this.peek() === end) {
      this.at++;
      this.depth = level;
      return false;
    }
    if (!this.isFirst[level]) {
      this.expect(0x2c);
      this.space();
      // A list or an object does not end by a comma.
      if (this.peek() === end) this.unexpected();
    }
    this.isFirst[level] = false;
    return !this.failed;
  }

  /** Takes a null, if there is one. */
  takeNull(): bool {
    if (this.failed) return false;
    this.space();
    if (this.peek() !== 0x6e) return false;
    this.word("null");
    return true;
  }

  private word(word: string): void {
    for (let at = 0; at < word.length; at++) {
      if (this.peek() !== word.charCodeAt(at)) {
        this.unexpected();
        return;
      }
      this.at++;
    }
  }

  /** `true` or `false`. */
  bool(): bool {
    if (this.failed) return false;
    this.space();
    const byte = this.peek();
    if (byte === 0x74) {
      this.word("true");
      return true;
    }
    if (byte === 0x66) this.word("false");
    else this.fail(`expected a boolean, got ${this.kind()}`);
    return false;
  }

  /** A whole number, its sign and its digits apart: exact in 64 bits. */
  private whole(least: i64, greatest: u64): u64 {
    if (this.failed) return 0;
    this.space();
    const begin = this.at;
    const isNegative = this.peek() === 0x2d;
    if (isNegative) this.at++;
    const first = this.peek();
    if (first < 0x30 || first > 0x39) {
      this.at = begin;
      this.fail(`expected a whole number, got ${this.kind()}`);
      return 0;
    }
    let value: u64 = 0;
    let isTooLarge = false;
    for (let byte = first; byte >= 0x30 && byte <= 0x39; byte = this.peek()) {
      const digit = (byte - 0x30) as u64;
      if (value > 1844674407370955161 || (value === 1844674407370955161 && digit > 5)) isTooLarge = true;
      value = value * 10 + digit;
      this.at++;
    }
    const next = this.peek();
    if (next === 0x2e || next === 0x65 || next === 0x45 || (first === 0x30 && this.at > begin + 1 + (isNegative ? 1 : 0))) {
      this.fail("expected a whole number");
      return 0;
    }
    const largest = isNegative ? (0 - least) as u64 : greatest;
    if (isTooLarge || value > largest) {
      this.fail(`the number is not between ${least} and ${greatest}`);
      return 0;
    }
    return isNegative ? 0 - value : value;
  }

  i16(): i16 {
    return this.whole(-0x8000, 0x7fff) as i16;
  }
  i32(): i32 {
    return this.whole(-0x80000000, 0x7fffffff) as i32;
  }
  i64(): i64 {
    return this.whole(i64.MIN_VALUE, i64.MAX_VALUE as u64) as i64;
  }
  u16(): u16 {
    return this.whole(0, 0xffff) as u16;
  }
  u32(): u32 {
    return this.whole(0, 0xffffffff) as u32;
  }
  u64(): u64 {
    return this.whole(0, u64.MAX_VALUE);
  }

  /** A number with a fraction. */
  f64(): f64 {
    const json = this.json();
    const first = json.text.charCodeAt(0);
    if (!this.failed && first !== 0x2d && (first < 0x30 || first > 0x39)) this.fail("expected a number");
    return this.failed ? 0 : parseFloat(json.text);
  }

  /** A text. What is not UTF-8, and half of a surrogate pair, becomes U+FFFD. */
  string(): string {
    if (!this.begins(0x22, "a text")) return "";
    const begin = this.at + 1;
    const end = this.skipString();
    return this.failed ? "" : decoded(begin, end);
  }

  /** Goes past a text, and returns where its last quote is. */
  private skipString(): usize {
    let at = this.at + 1;
    const end = this.end;
    while (at < end) {
      const byte = load<u8>(at);
      if (byte === 0x22) {
        this.at = at + 1;
        return at;
      }
      if (byte < 0x20) break;
      if (byte === 0x5c) {
        at++;
        const escape = at < end ? load<u8>(at) : 0;
        if (escape === 0x75) {
          for (let digit = 1; digit <= 4; digit++) {
            if (at + digit >= end || hexDigit(load<u8>(at + digit)) < 0) {
              this.fail("a text has a wrong escape");
              return at;
            }
          }
          at += 4;
        } else if (!isEscape(escape)) {
          break;
        }
      }
      at++;
    }
    this.fail(at < end ? "a text has what it may not have" : "the JSON ends within a text");
    return at;
  }

  /** Bytes, in base64. */
  bytesOfBase64(): Uint8Array {
    const text = this.string();
    if (this.failed) return new Uint8Array(0);
    const bytes = decodeBase64(text);
    if (bytes !== null) return bytes;
    this.fail("the text is not base64");
    return new Uint8Array(0);
  }

  /** Any value, as it is written. */
  json(): Json {
    this.space();
    const begin = this.at;
    this.skip();
    return this.failed ? new Json() : new Json(decodedRaw(begin, this.at));
  }

  /** Goes past a value. */
  skip(): void {
    if (this.failed) return;
    this.space();
    const byte = this.peek();
    if (byte === 0x22) {
      this.skipString();
    } else if (byte === 0x7b) {
      if (!this.enter()) return;
      while (this.nextKey()) this.skip();
    } else if (byte === 0x5b) {
      if (!this.enter()) return;
      while (this.nextItem()) this.skip();
    } else if (byte === 0x74) {
      this.word("true");
    } else if (byte === 0x66) {
      this.word("false");
    } else if (byte === 0x6e) {
      this.word("null");
    } else {
      this.skipNumber();
    }
  }

  private digits(): void {
    const begin = this.at;
    while (this.peek() >= 0x30 && this.peek() <= 0x39) this.at++;
    if (this.at === begin) this.unexpected();
  }

  private skipNumber(): void {
    if (this.peek() === 0x2d) this.at++;
    if (this.peek() === 0x30) this.at++;
    else this.digits();
    if (this.failed) return;
    if (this.peek() === 0x2e) {
      this.at++;
      this.digits();
    }
    if (this.peek() === 0x65 || this.peek() === 0x45) {
      this.at++;
      if (this.peek() === 0x2b || this.peek() === 0x2d) this.at++;
      this.digits();
    }
  }
}

function isEscape(byte: u8): bool {
  return (
    byte === 0x22 || byte === 0x5c || byte === 0x2f || byte === 0x62 ||
    byte === 0x66 || byte === 0x6e || byte === 0x72 || byte === 0x74
  );
}

function hexDigit(byte: u8): i32 {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Bytes in UTF-8 as a text, without what stands for something else. */
function decodedRaw(begin: usize, end: usize): string {
  return decode(begin, end, false);
}

/** The inside of a JSON text, whose escapes have been checked. */
function decoded(begin: usize, end: usize): string {
  return decode(begin, end, true);
}

function decode(begin: usize, end: usize, hasEscapes: bool): string {
  // There are no more units of UTF-16 than bytes of UTF-8.
  const text = changetype<usize>(__new((end - begin) << 1, idof<string>()));
  let to = text;
  let at = begin;
  while (at < end) {
    const byte = load<u8>(at++) as u32;
    if (byte < 0x80) {
      if (byte !== 0x5c || !hasEscapes) {
        store<u16>(to, byte as u16);
      } else {
        const escape = load<u8>(at++);
        let unit: u32 = escape;
        if (escape === 0x75) {
          unit = 0;
          for (let digit = 0; digit < 4; digit++) unit = (unit << 4) | (hexDigit(load<u8>(at++)) as u32);
        } else if (escape === 0x62) unit = 8;
        else if (escape === 0x66) unit = 12;
        else if (escape === 0x6e) unit = 10;
        else if (escape === 0x72) unit = 13;
        else if (escape === 0x74) unit = 9;
        store<u16>(to, unit as u16);
      }
      to += 2;
      continue;
    }
    // The length of the sequence, and the least number that may be written in it.
    let more = 0;
    let code: u32 = 0;
    let least: u32 = 0;
    if (byte >= 0xc2 && byte < 0xe0) {
      more = 1;
      code = byte & 0x1f;
      least = 0x80;
    } else if (byte >= 0xe0 && byte < 0xf0) {
      more = 2;
      code = byte & 0x0f;
      least = 0x800;
    } else if (byte >= 0xf0 && byte < 0xf5) {
      more = 3;
      code = byte & 0x07;
      least = 0x10000;
    }
    let isWhole = more > 0 && at + more <= end;
    for (let nth = 0; isWhole && nth < more; nth++) {
      const next = load<u8>(at + nth) as u32;
      isWhole = (next & 0xc0) === 0x80;
      code = (code << 6) | (next & 0x3f);
    }
    if (!isWhole || code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      store<u16>(to, 0xfffd);
      to += 2;
      continue;
    }
    at += more;
    if (code >= 0x10000) {
      code -= 0x10000;
      store<u16>(to, (0xd800 | (code >> 10)) as u16);
      to += 2;
      code = 0xdc00 | (code & 0x3ff);
    }
    store<u16>(to, code as u16);
    to += 2;
  }
  return changetype<string>(__renew(text, to - text));
}

/** A writer of JSON. */
export class JsonWriter {
  private bytes: ArrayBuffer = new ArrayBuffer(256);
  private length: i32 = 0;
  /** True if a value is in front, so that a comma has to come between it and the next. */
  private needsComma: bool = false;

  /** Where the bytes are. */
  get pointer(): usize {
    return changetype<usize>(this.bytes);
  }

  /** The number of bytes. */
  get byteLength(): i32 {
    return this.length;
  }

  toString(): string {
    return decodedRaw(this.pointer, this.pointer + this.length);
  }

  private reserve(more: i32): void {
    const needed = this.length + more;
    if (needed <= this.bytes.byteLength) return;
    const larger = new ArrayBuffer(max(needed, this.bytes.byteLength << 1));
    memory.copy(changetype<usize>(larger), this.pointer, this.length);
    this.bytes = larger;
  }

  @inline
  private byte(byte: i32): void {
    this.reserve(1);
    store<u8>(this.pointer + this.length++, byte as u8);
  }

  private ascii(text: string): void {
    this.reserve(text.length);
    for (let at = 0; at < text.length; at++) store<u8>(this.pointer + this.length + at, text.charCodeAt(at) as u8);
    this.length += text.length;
  }

  private separate(): void {
    if (this.needsComma) this.byte(0x2c);
    this.needsComma = true;
  }

  beginObject(): void {
    this.separate();
    this.byte(0x7b);
    this.needsComma = false;
  }

  endObject(): void {
    this.byte(0x7d);
    this.needsComma = true;
  }

  beginArray(): void {
    this.separate();
    this.byte(0x5b);
    this.needsComma = false;
  }

  endArray(): void {
    this.byte(0x5d);
    this.needsComma = true;
  }

  /** The name of the field whose value comes next. */
  key(name: string): void {
    this.string(name);
    this.byte(0x3a);
    this.needsComma = false;
  }

  bool(value: bool): void {
    this.separate();
    this.ascii(value ? "true" : "false");
  }

  integer<T extends number>(value: T): void {
    this.separate();
    this.ascii(value.toString());
  }

  /** A number with a fraction; null if it is none. */
  f64(value: f64): void {
    this.separate();
    this.ascii(isFinite(value) ? value.toString() : "null");
  }

  json(value: Json): void {
    this.separate();
    const bytes = String.UTF8.encode(value.text, false, String.UTF8.ErrorMode.REPLACE);
    this.reserve(bytes.byteLength);
    memory.copy(this.pointer + this.length, changetype<usize>(bytes), bytes.byteLength);
    this.length += bytes.byteLength;
  }

  base64(value: Uint8Array): void {
    this.separate();
    this.byte(0x22);
    this.ascii(encodeBase64(value));
    this.byte(0x22);
  }

  /** A text. Half of a surrogate pair is no character: U+FFFD stands in its place. */
  string(value: string): void {
    this.separate();
    const length = value.length;
    // A unit takes six bytes at most, as an escape.
    this.reserve(length * 6 + 2);
    let to = this.pointer + this.length;
    store<u8>(to++, 0x22);
    for (let at = 0; at < length; at++) {
      let code = value.charCodeAt(at) as u32;
      if (code < 0x80) {
        if (code === 0x22 || code === 0x5c) {
          store<u8>(to++, 0x5c);
        } else if (code < 0x20) {
          store<u32>(to, 0x3030755c); // \u00
          store<u8>(to + 4, (0x30 + (code >> 4)) as u8);
          const low = code & 15;
          store<u8>(to + 5, (low < 10 ? 0x30 + low : 0x57 + low) as u8);
          to += 6;
          continue;
        }
        store<u8>(to++, code as u8);
      } else if (code < 0x800) {
        store<u8>(to, (0xc0 | (code >> 6)) as u8);
        store<u8>(to + 1, (0x80 | (code & 0x3f)) as u8);
        to += 2;
      } else {
        if (code >= 0xd800 && code < 0xe000) {
          const next = at + 1 < length ? (value.charCodeAt(at + 1) as u32) : 0;
          if (code < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
            at++;
            code = 0x10000 + ((code & 0x3ff) << 10) + (next & 0x3ff);
            store<u8>(to++, (0xf0 | (code >> 18)) as u8);
            store<u8>(to++, (0x80 | ((code >> 12) & 0x3f)) as u8);
            store<u8>(to, (0x80 | ((code >> 6) & 0x3f)) as u8);
            store<u8>(to + 1, (0x80 | (code & 0x3f)) as u8);
            to += 2;
            continue;
          }
          code = 0xfffd;
        }
        store<u8>(to, (0xe0 | (code >> 12)) as u8);
        store<u8>(to + 1, (0x80 | ((code >> 6) & 0x3f)) as u8);
        store<u8>(to + 2, (0x80 | (code & 0x3f)) as u8);
        to += 3;
      }
    }
    store<u8>(to++, 0x22);
    this.length = (to - this.pointer) as i32;
  }
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Bytes as base64. */
export function encodeBase64(bytes: Uint8Array): string {
  const length = bytes.length;
  const text = changetype<usize>(__new((((length + 2) / 3) * 4) << 1, idof<string>()));
  let to = text;
  for (let at = 0; at < length; at += 3) {
    const left = length - at;
    const second: u32 = left > 1 ? bytes[at + 1] : 0;
    const third: u32 = left > 2 ? bytes[at + 2] : 0;
    const three = ((bytes[at] as u32) << 16) | (second << 8) | third;
    store<u16>(to, DIGITS.charCodeAt(three >> 18) as u16);
    store<u16>(to + 2, DIGITS.charCodeAt((three >> 12) & 63) as u16);
    store<u16>(to + 4, (left > 1 ? DIGITS.charCodeAt((three >> 6) & 63) : 0x3d) as u16);
    store<u16>(to + 6, (left > 2 ? DIGITS.charCodeAt(three & 63) : 0x3d) as u16);
    to += 8;
  }
  return changetype<string>(text);
}

function base64Digit(code: i32): i32 {
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  if (code >= 0x61 && code <= 0x7a) return code - 0x47;
  if (code >= 0x30 && code <= 0x39) return code + 4;
  return code === 0x2b ? 62 : code === 0x2f ? 63 : -1;
}

/** The bytes of a text in base64 with its padding; nothing if it is none. */
export function decodeBase64(text: string): Uint8Array | null {
  const length = text.length;
  if (length % 4 !== 0) return null;
  const padding = length > 0 && text.charCodeAt(length - 1) === 0x3d ? (text.charCodeAt(length - 2) === 0x3d ? 2 : 1) : 0;
  const bytes = new Uint8Array((length / 4) * 3 - padding);
  let to = 0;
  for (let at = 0; at < length; at += 4) {
    const padded = at + 4 === length ? padding : 0;
    let three = 0;
    for (let nth = 0; nth < 4; nth++) {
      const digit = nth < 4 - padded ? base64Digit(text.charCodeAt(at + nth)) : 0;
      if (digit < 0) return null;
      three = (three << 6) | digit;
    }
    // Bits that belong to no byte have to be 0, so that there is one text for some bytes.
    if ((padded === 2 && (three & 0xffff) !== 0) || (padded === 1 && (three & 0xff) !== 0)) return null;
    for (let nth = 0; nth < 3 - padded; nth++) bytes[to++] = (three >> (16 - 8 * nth)) as u8;
  }
  return bytes;
}
