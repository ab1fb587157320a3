/**
 * Makes a plugin's module of the kernel: puts in the script, the effects that it uses and the exports that it has.
 *
 * The kernel's imports from `exomonad:kernel` are replaced by functions of this file. Effects become imports, which
 * stand before all functions of a module; so the numbers of the kernel's functions change, wherever its code names
 * one. That is all that has to be known of the code.
 */

const SECTION = { custom: 0, type: 1, import: 2, function: 3, start: 8, export: 7, element: 9, code: 10, data: 11, dataCount: 12 };
/** The order of sections in a module; the one that counts data stands before the code. */
const ORDER = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const I32 = 0x7f;
const I64 = 0x7e;

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    if (this.at >= this.bytes.length) throw new Error("the kernel ends too early");
    return this.bytes[this.at++];
  }

  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Goes past a number of any size and sign. */
  skipNumber() {
    while (this.byte() >= 0x80);
  }

  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  text() {
    return new TextDecoder().decode(this.take(this.number()));
  }
}

function number(value) {
  const bytes = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value % 128) | (rest ? 0x80 : 0));
    value = rest;
  } while (value);
  return bytes;
}

/** A signed number, as constants are written. */
function signed(value) {
  const bytes = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    const isLast = (value === 0 && !(byte & 0x40)) || (value === -1 && byte & 0x40);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}

function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from(number(bytes.length)), bytes]);
}

function vector(items) {
  return Buffer.concat([Buffer.from(number(items.length)), ...items.map((item) => Buffer.from(item))]);
}

/** The sections of a module, by their number. Custom ones, which have names for debuggers, are left out. */
function sectionsOf(module) {
  const reader = new Reader(module);
  if (Buffer.compare(Buffer.from(reader.take(8)), Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]))) {
    throw new Error("the kernel is no WebAssembly module");
  }
  const sections = new Map();
  while (reader.at < module.length) {
    const id = reader.byte();
    const bytes = reader.take(reader.number());
    if (id !== SECTION.custom) sections.set(id, bytes);
  }
  return sections;
}

function items(section, read) {
  if (!section) return [];
  const reader = new Reader(section);
  return Array.from({ length: reader.number() }, () => {
    const begin = reader.at;
    const item = read(reader);
    return { ...item, bytes: section.subarray(begin, reader.at) };
  });
}

function importsOf(section) {
  return items(section, (reader) => {
    const [module, name, kind] = [reader.text(), reader.text(), reader.byte()];
    if (kind !== 0) throw new Error(`the kernel imports ${module}::${name}, which is no function`);
    reader.number();
    return { module, name };
  });
}

function exportsOf(section) {
  return items(section, (reader) => ({ name: reader.text(), kind: reader.byte(), index: reader.number() }));
}

/** A function's code with other numbers of functions. */
function renumbered(body, newIndex) {
  const parts = [];
  const reader = new Reader(body);
  let copied = 0;
  const renumber = () => {
    parts.push(body.subarray(copied, reader.at), Buffer.from(number(newIndex(reader.number()))));
    copied = reader.at;
  };
  for (let groups = reader.number(); groups; groups--) {
    reader.number();
    reader.byte();
  }
  while (reader.at < body.length) instruction(reader, renumber);
  parts.push(body.subarray(copied));
  return Buffer.concat(parts);
}

/** Goes past an instruction; `renumber` takes the number of a function. */
function instruction(reader, renumber) {
  const opcode = reader.byte();
  if (opcode === 0x10 || opcode === 0x12 || opcode === 0xd2) return renumber();
  const numbers = (count) => {
    for (; count; count--) reader.skipNumber();
  };
  if (opcode === 0x0e) return numbers(reader.number() + 1);
  if (opcode === 0x1c) return numbers(reader.number());
  if (opcode === 0x11 || opcode === 0x13) return numbers(2);
  if (opcode >= 0x28 && opcode <= 0x3e) return numbers(2);
  if (opcode === 0x43) return void reader.take(4);
  if (opcode === 0x44) return void reader.take(8);
  const isOfOne =
    (opcode >= 0x02 && opcode <= 0x04) || // blocks
    opcode === 0x0c ||
    opcode === 0x0d || // branches
    (opcode >= 0x20 && opcode <= 0x26) || // locals, globals, tables
    (opcode >= 0x3f && opcode <= 0x42) || // memory, constants
    opcode === 0xd0;
  if (isOfOne) return numbers(1);
  const isOfNone =
    opcode <= 0x01 ||
    opcode === 0x05 ||
    opcode === 0x0b ||
    opcode === 0x0f ||
    opcode === 0x1a ||
    opcode === 0x1b ||
    (opcode >= 0x45 && opcode <= 0xc4) ||
    opcode === 0xd1;
  if (isOfNone) return undefined;
  if (opcode === 0xfc) {
    const operands = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1][reader.number()];
    if (operands !== undefined) return numbers(operands);
  }
  throw new Error(`the kernel has an instruction that is not known here: 0x${opcode.toString(16)}`);
}

/** Segments of elements, of which the kernel has those with plain numbers of functions. */
function renumberedElements(section, newIndex) {
  return items(section, (reader) => {
    const parts = [];
    const begin = reader.at;
    const flags = reader.number();
    if (flags > 3) throw new Error(`the kernel has a segment of elements of kind ${flags}`);
    if (flags === 2) reader.number();
    if (flags !== 1 && flags !== 3) while (reader.byte() !== 0x0b);
    if (flags) reader.byte();
    parts.push(reader.bytes.subarray(begin, reader.at));
    const count = reader.number();
    parts.push(Buffer.from(number(count)));
    for (let at = 0; at < count; at++) parts.push(Buffer.from(number(newIndex(reader.number()))));
    return { renumbered: Buffer.concat(parts) };
  }).map((item) => item.renumbered);
}

/**
 * A plugin's module.
 *
 * @param {Uint8Array} kernel the kernel
 * @param {{ script: Uint8Array, effects: string[], exports: string[], drawsAtStart: boolean }} plugin the script, the
 *   effects and the exports by their names, in the order of their numbers
 */
export function link(kernel, { script, effects, exports, drawsAtStart }) {
  const sections = sectionsOf(kernel);
  if (sections.has(SECTION.start)) throw new Error("the kernel starts by itself");
  const types = items(sections.get(SECTION.type), (reader) => {
    reader.byte();
    for (let side = 0; side < 2; side++) for (let count = reader.number(); count; count--) reader.byte();
    return {};
  });
  const imports = importsOf(sections.get(SECTION.import));
  const functions = items(sections.get(SECTION.function), (reader) => void reader.number());
  const bodies = items(sections.get(SECTION.code), (reader) => ({ body: reader.take(reader.number()) }));
  const dataCount = new Reader(sections.get(SECTION.data) ?? [0]).number();

  const newTypes = [
    [0x60, 1, I64, 1, I64],
    [0x60, 0, 1, I32],
    [0x60, 1, I32, 0],
    [0x60, 2, I32, I64, 1, I64],
  ];
  const [ofEffect, ofExport, ofScriptRead, ofDispatch] = newTypes.map((_, at) => types.length + at);
  const kept = imports.filter((one) => one.module !== "exomonad:kernel");
  const importCount = kept.length + effects.length;
  // What stands for the kernel's own imports comes after its functions, then the exports.
  const added = [];
  const add = (type, code) => added.push({ type, code: Buffer.from([0, ...code, 0x0b]) }) - 1 + importCount + functions.length;
  const replaced = {
    script_length: add(ofExport, [0x41, ...signed(script.length)]),
    script_read: add(ofScriptRead, [0x20, 0, 0x41, 0, 0x41, ...signed(script.length), 0xfc, 8, ...number(dataCount), 0]),
    effect: add(ofDispatch, [
      ...effects.flatMap((_, slot) => [
        ...[0x20, 0, 0x41, ...signed(slot), 0x46, 0x04, 0x40], // if the number is this one
        ...[0x20, 1, 0x10, ...number(kept.length + slot), 0x0f, 0x0b], // return the effect's answer
      ]),
      0x00,
    ]),
  };
  const newIndexes = imports.map((one) => {
    if (one.module !== "exomonad:kernel") return kept.indexOf(one);
    const index = replaced[one.name];
    if (index === undefined) throw new Error(`the kernel needs ${one.name}, which this exomonad-build does not have`);
    return index;
  });
  const newIndex = (index) => newIndexes[index] ?? index - imports.length + importCount;

  const oldExports = exportsOf(sections.get(SECTION.export));
  const run = oldExports.find((one) => one.name === "exomonad_run");
  if (!run) throw new Error("the kernel has no exomonad_run");
  // A promise that what was drawn when the module was initialised is drawn anew: not if the script has kept some.
  const hidden = ["exomonad_run", ...(drawsAtStart ? ["exomonad_reseed"] : [])];
  const newExports = oldExports
    .filter((one) => !hidden.includes(one.name))
    .map(({ name, kind, index }) => [...text(name), kind, ...number(kind === 0 ? newIndex(index) : index)]);
  for (const [at, name] of exports.entries()) {
    newExports.push([...text(name), 0, ...number(add(ofExport, [0x41, ...signed(at), 0x10, ...number(newIndex(run.index))]))]);
  }

  const code = [
    ...bodies.map(({ body }) => renumbered(body, newIndex)),
    ...added.map((one) => one.code),
  ];
  const data = new Reader(sections.get(SECTION.data) ?? [0]);
  data.number();
  const newSections = new Map(sections)
    .set(SECTION.type, vector([...types.map((one) => one.bytes), ...newTypes]))
    .set(
      SECTION.import,
      vector([
        ...kept.map((one) => one.bytes),
        ...effects.map((name) => [...text("extism:host/user"), ...text(name), 0, ...number(ofEffect)]),
      ]),
    )
    .set(SECTION.function, vector([...functions.map((one) => one.bytes), ...added.map((one) => number(one.type))]))
    .set(SECTION.export, vector(newExports))
    .set(SECTION.element, vector(renumberedElements(sections.get(SECTION.element), newIndex)))
    .set(SECTION.code, vector(code.map((body) => Buffer.concat([Buffer.from(number(body.length)), body]))))
    .set(SECTION.dataCount, Buffer.from(number(dataCount + 1)))
    .set(
      SECTION.data,
      Buffer.concat([
        Buffer.from(number(dataCount + 1)),
        data.bytes.subarray ? data.bytes.subarray(data.at) : Buffer.alloc(0),
        Buffer.from([1, ...number(script.length)]),
        script,
      ]),
    );
  return Buffer.concat([
    Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
    ...ORDER.filter((id) => newSections.has(id)).flatMap((id) => {
      const bytes = newSections.get(id);
      return [Buffer.from([id, ...number(bytes.length)]), bytes];
    }),
  ]);
}
