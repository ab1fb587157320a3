/**
 * The host as the SDK sees it: functions of the kernel in a plugin, a fake one in tests.
 *
 * @module
 */

/** What the kernel gives to a script, under the name `__exomonad`. */
export interface Host {
  /** The input of the call. */
  input(): string;
  /** Sets the output of the call. */
  output(text: string): void;
  /** Performs an effect by the number of its import. */
  effect(slot: number, request: string): string | undefined;
  /** A value of the role's configuration. */
  config(key: string): string | undefined;
  /** A variable, which lasts as long as the sandbox. */
  getVariable(key: string): Uint8Array | undefined;
  /** Sets a variable, or removes it. */
  setVariable(key: string, value: Uint8Array | undefined): void;
  /** Writes a line to the host's log: 0 to trace, 1 to debug, 2 to inform, 3 to warn, 4 for errors. */
  log(level: number, line: string): void;
  /** True if a text has 16 digits in a row. */
  hasLongNumber(text: string): boolean;
  encodeUtf8(text: string): Uint8Array;
  decodeUtf8(bytes: Uint8Array): string;
  encodeBase64(bytes: Uint8Array): string;
  /** The bytes, or nothing if it is not base64. */
  decodeBase64(text: string): Uint8Array | undefined;
  /** Fills it with random bytes. */
  fillRandom(bytes: Uint8Array): void;
  /** Milliseconds of a clock that only goes on. */
  monotonic(): number;
  /** The number of the import of each effect; `exomonad-build` sets it. */
  effects?: Record<string, number>;
  /** The names of the plugin's exports, in the order of their numbers; the SDK sets it. */
  exports?: string[];
  /** Calls an export by its number; the SDK sets it. */
  run?(index: number): unknown;
}

/** A host for tests, which knows effects by name. */
export interface TestHost {
  perform(name: string, request: string): string;
  config(key: string): string | undefined;
  getVariable(key: string): Uint8Array | undefined;
  setVariable(key: string, value: Uint8Array | undefined): void;
  log(level: number, line: string): void;
}

/** The kernel, if this runs in one. */
export const kernel: Host | undefined = (globalThis as { __exomonad?: Host }).__exomonad;

let current: TestHost | undefined;

/** Makes a fake host the current one, and returns the one that was. */
export function installTestHost(host: TestHost | undefined): TestHost | undefined {
  const before = current;
  current = host;
  return before;
}

/** The fake host of a test. */
export function testHost(): TestHost {
  if (!current) throw new Error("no host: call effects within FakeHost.run, or call the tool by FakeHost.callTool");
  return current;
}

/** Performs an effect by its name, such as `git_get_branch`, from its request's JSON to its answer's. */
export function performByName(name: string, request: string): string {
  if (!kernel) return testHost().perform(name, request);
  const slot = kernel.effects?.[name];
  if (slot === undefined) throw new Error(`the plugin has no import for the effect ${name}`);
  return kernel.effect(slot, request) ?? "";
}

/** A value of the role's configuration. */
export function config(key: string): string | undefined {
  return (kernel ?? testHost()).config(key);
}

/** The value of a variable. Variables last as long as the sandbox: for one call, if the role does not keep warm ones. */
export function getVariable(key: string): Uint8Array | undefined {
  return (kernel ?? testHost()).getVariable(key);
}

/** Sets a variable; nothing removes it. */
export function setVariable(key: string, value: Uint8Array | undefined): void {
  (kernel ?? testHost()).setVariable(key, value);
}

/** Log lines, by severity. `console.log` and the like write them too. */
export const log = {
  trace: (line: string): void => (kernel ?? testHost()).log(0, line),
  debug: (line: string): void => (kernel ?? testHost()).log(1, line),
  info: (line: string): void => (kernel ?? testHost()).log(2, line),
  warn: (line: string): void => (kernel ?? testHost()).log(3, line),
  error: (line: string): void => (kernel ?? testHost()).log(4, line),
};

/** Bytes as base64. */
export function encodeBase64(value: Uint8Array): string {
  if (kernel) return kernel.encodeBase64(value);
  let binary = "";
  for (const byte of value) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** The bytes of a text in base64, or nothing if it is none. */
export function decodeBase64(value: string): Uint8Array | undefined {
  if (kernel) return kernel.decodeBase64(value);
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return undefined;
  const decoded = Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0));
  // Bits that belong to no byte have to be 0, so that there is one text for some bytes.
  return encodeBase64(decoded) === value ? decoded : undefined;
}
