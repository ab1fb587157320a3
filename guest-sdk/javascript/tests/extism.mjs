/** Extism's host functions for a module that runs in Node, and nothing that makes them fast. */
export class Extism {
  constructor(effects = {}) {
    this.effects = effects;
    this.blocks = new Map();
    this.next = 8;
    this.lines = [];
  }

  alloc(bytes) {
    const offset = this.next;
    this.next += bytes.length + 8;
    this.blocks.set(offset, Buffer.from(bytes));
    return BigInt(offset);
  }

  bytes(offset) {
    return this.blocks.get(Number(offset));
  }

  text(offset) {
    return this.bytes(offset).toString();
  }

  /** The block that an address is in, and the place in it. */
  find(address) {
    const at = Number(address);
    for (const [offset, block] of this.blocks) {
      if (at >= offset && at < offset + block.length) return [block, at - offset];
    }
    throw new Error(`nothing is at ${at}`);
  }

  imports(module) {
    const load = (address, count) => {
      const [block, at] = this.find(address);
      return count === 1 ? block[at] : block.readBigUInt64LE(at);
    };
    const memory = () => new DataView(this.instance.exports.memory.buffer);
    const log = (level) => (offset) => void this.lines.push(`${level}: ${this.text(offset)}`);
    const known = {
      alloc: (length) => this.alloc(Buffer.alloc(Number(length))),
      free: () => {},
      length: (offset) => BigInt(this.bytes(offset)?.length ?? 0),
      load_u8: (address) => load(address, 1),
      load_u64: (address) => load(address, 8),
      store_u8: (address, value) => {
        const [block, at] = this.find(address);
        block[at] = value;
      },
      store_u64: (address, value) => {
        const [block, at] = this.find(address);
        block.writeBigUInt64LE(BigInt.asUintN(64, value), at);
      },
      input_offset: () => this.input,
      input_length: () => BigInt(this.bytes(this.input).length),
      output_set: (offset) => void (this.output = this.text(offset)),
      error_set: (offset) => void (this.error = this.text(offset)),
      config_get: (key) => (this.text(key) === "greeting" ? this.alloc(Buffer.from("Hello")) : 0n),
      var_get: () => 0n,
      var_set: () => {},
      log_trace: log("trace"),
      log_debug: log("debug"),
      log_info: log("info"),
      log_warn: log("warn"),
      log_error: log("error"),
      random_get: (pointer, length) => {
        crypto.getRandomValues(new Uint8Array(this.instance.exports.memory.buffer, pointer, length));
        return 0;
      },
      clock_time_get: (_clock, _precision, pointer) => {
        memory().setBigUint64(pointer, BigInt(Date.now()) * 1_000_000n, true);
        return 0;
      },
    };
    const imports = {};
    for (const { module: from, name } of WebAssembly.Module.imports(module)) {
      const effect = (request) => this.alloc(Buffer.from(JSON.stringify(this.effects[name](JSON.parse(this.text(request))))));
      (imports[from] ??= {})[name] = from === "extism:host/user" ? effect : (known[name] ?? (() => 52));
    }
    return imports;
  }

  /** A new instance, as each call gets one. */
  start(bytes) {
    const module = new WebAssembly.Module(bytes);
    this.instance = new WebAssembly.Instance(module, this.imports(module));
    this.instance.exports._initialize?.();
    return this;
  }

  /** Calls an export; what it answers is parsed, and an error is thrown. */
  call(name, input = {}) {
    this.input = this.alloc(Buffer.from(typeof input === "string" ? input : JSON.stringify(input)));
    this.output = this.error = undefined;
    if (this.instance.exports[name]() !== 0) throw new Error(this.error ?? "no error was set");
    return JSON.parse(this.output);
  }
}

/** The effects that a module imports, or the names that it exports. */
export function names(bytes, of) {
  const module = new WebAssembly.Module(bytes);
  if (of === "exports") return WebAssembly.Module.exports(module).map((one) => one.name);
  return WebAssembly.Module.imports(module)
    .filter((one) => one.module === "extism:host/user")
    .map((one) => one.name);
}
