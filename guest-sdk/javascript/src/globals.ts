/**
 * What scripts expect beyond the language and QuickJS does not have: `console`, `TextEncoder`, `TextDecoder`,
 * `performance.now`, `crypto.getRandomValues` and `crypto.randomUUID`. There are no timers, no `fetch` and no `URL`.
 *
 * @module
 */

import { type Host, kernel, log } from "./host.js";
import { stringify, wellFormed } from "./json.js";

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value}\n${value.stack ?? ""}`.trimEnd();
  if (typeof value === "object" && value !== null) {
    try {
      return stringify(value);
    } catch {
      return String(value);
    }
  }
  return String(value);
}

function install(kernel: Host): void {
  const writer =
    (write: (line: string) => void) =>
    (...values: unknown[]): void =>
      write(values.map(shown).join(" "));
  const missing: Record<string, unknown> = {
    console: {
      log: writer(log.info),
      info: writer(log.info),
      debug: writer(log.debug),
      trace: writer(log.trace),
      warn: writer(log.warn),
      error: writer(log.error),
    },
    performance: { now: () => kernel.monotonic() },
    crypto: {
      getRandomValues<T extends ArrayBufferView>(view: T): T {
        kernel.fillRandom(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
        return view;
      },
      randomUUID(): string {
        const bytes = new Uint8Array(16);
        kernel.fillRandom(bytes);
        bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
        bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
        const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
        return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
      },
    },
    TextEncoder: class TextEncoder {
      readonly encoding = "utf-8";

      encode(text = ""): Uint8Array {
        return kernel.encodeUtf8(wellFormed(String(text)));
      }
    },
    TextDecoder: class TextDecoder {
      readonly encoding = "utf-8";
      readonly fatal: boolean;

      constructor(label = "utf-8", options: { fatal?: boolean } = {}) {
        if (!/^utf-?8$/i.test(label)) throw new RangeError(`the encoding ${label} is not supported, only utf-8`);
        this.fatal = options.fatal ?? false;
      }

      decode(input: ArrayBuffer | ArrayBufferView = new Uint8Array()): string {
        const bytes = ArrayBuffer.isView(input)
          ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
          : new Uint8Array(input);
        const text = kernel.decodeUtf8(bytes);
        if (this.fatal && text.includes("\uFFFD")) {
          const again = kernel.encodeUtf8(text);
          if (again.length !== bytes.length || again.some((byte, at) => byte !== bytes[at])) {
            throw new TypeError("the bytes are not UTF-8");
          }
        }
        // A mark of the order of bytes is no part of the text.
        return text.startsWith("\uFEFF") ? text.slice(1) : text;
      }
    },
  };
  for (const [name, value] of Object.entries(missing)) {
    if (name in globalThis) continue;
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
  }
}

if (kernel) install(kernel);
