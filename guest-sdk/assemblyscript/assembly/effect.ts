/** Effects: requests to the host and their answers. */

import { blockOf, freeBlock, takeBlock } from "./abi";
import { EffectError, ErrorCode, nameOfErrorCode } from "./generated/types";
import { Json, JsonReader, JsonWriter } from "./json";

/** The answer of an effect, or the error by which it has failed: there are no exceptions. */
export class Result<T> {
  constructor(
    private readonly content: T | null,
    /** The failure: decide on its `code`, show its `message`. */
    readonly error: EffectError | null,
  ) {}

  /** True if there is an answer. */
  get ok(): bool {
    return this.error === null;
  }

  /** The answer. Asking for it after a failure ends the call. */
  get value(): T {
    const error = this.error;
    if (error !== null) throw new Error(`${nameOfErrorCode(error.code)}: ${error.message}`);
    return this.content!;
  }
}

/** A request in the host's memory. */
export function request(writer: JsonWriter): u64 {
  return blockOf(writer.pointer, writer.byteLength);
}

/** The bytes of an answer, after which the request is freed. */
export function performed(request: u64, answer: u64): ArrayBuffer {
  freeBlock(request);
  const bytes = takeBlock(answer);
  return bytes === null ? new ArrayBuffer(0) : bytes;
}

/** The beginning of a success as our host writes it, after which the payload can be read directly. */
const SUCCESS = '{"kind":"Success","payload":';

/** An answer in its envelope. */
export class Answer {
  /** A reader of the payload of a success. */
  payload: JsonReader;
  private error: EffectError | null = null;

  constructor(
    private readonly hostFunction: string,
    bytes: ArrayBuffer,
  ) {
    const isPlain = beginsWithSuccess(bytes);
    this.payload = new JsonReader(bytes, isPlain ? SUCCESS.length : 0, isPlain ? 1 : 0);
    if (!isPlain) this.open(bytes);
  }

  /** True if there is a payload to be read. */
  get isSuccess(): bool {
    return this.error === null;
  }

  /** An envelope in any spelling. */
  private open(bytes: ArrayBuffer): void {
    const envelope = new JsonReader(bytes);
    let kind = "";
    let payload: Json | null = null;
    envelope.beginObject();
    while (envelope.nextKey()) {
      if (envelope.key == "kind") kind = envelope.string();
      else if (envelope.key == "payload") payload = envelope.json();
      else envelope.skip();
    }
    if (!envelope.finish()) return this.unreadable(envelope.problem);
    if (payload === null) return this.unreadable("$.payload: missing");
    const reader = payload.reader();
    if (kind == "Success") {
      this.payload = reader;
    } else if (kind == "Error") {
      const error = EffectError.read(reader);
      if (reader.finish()) this.error = error;
      else this.unreadable(reader.problem);
    } else {
      this.unreadable("$.kind: neither Success nor Error");
    }
  }

  private unreadable(problem: string): void {
    this.error = EffectError.of(ErrorCode.Internal, `the answer of ${this.hostFunction} is unreadable: ${problem}`);
  }

  /** The result of a success whose payload was read. */
  result<T>(value: T): Result<T> {
    if (!this.payload.finish()) this.unreadable(this.payload.problem);
    return this.isSuccess ? new Result<T>(value, null) : this.failure<T>();
  }

  /** The result of a failure. */
  failure<T>(): Result<T> {
    return new Result<T>(null, this.error);
  }
}

function beginsWithSuccess(bytes: ArrayBuffer): bool {
  const length = bytes.byteLength;
  const begin = changetype<usize>(bytes);
  if (length <= SUCCESS.length || load<u8>(begin + length - 1) !== 0x7d) return false;
  for (let at = 0; at < SUCCESS.length; at++) {
    if (load<u8>(begin + at) !== SUCCESS.charCodeAt(at)) return false;
  }
  return true;
}
