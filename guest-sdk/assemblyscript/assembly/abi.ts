/** Extism's plugin ABI. */

@external("extism:host/env", "alloc") declare function host_alloc(length: u64): u64;
@external("extism:host/env", "free") declare function host_free(offset: u64): void;
@external("extism:host/env", "length") declare function host_length(offset: u64): u64;
@external("extism:host/env", "load_u8") declare function host_load_u8(offset: u64): u32;
@external("extism:host/env", "load_u64") declare function host_load_u64(offset: u64): u64;
@external("extism:host/env", "store_u8") declare function host_store_u8(offset: u64, value: u32): void;
@external("extism:host/env", "store_u64") declare function host_store_u64(offset: u64, value: u64): void;
@external("extism:host/env", "input_offset") declare function host_input_offset(): u64;
@external("extism:host/env", "input_length") declare function host_input_length(): u64;
@external("extism:host/env", "output_set") declare function host_output_set(offset: u64, length: u64): void;
@external("extism:host/env", "error_set") declare function host_error_set(offset: u64): void;
@external("extism:host/env", "config_get") declare function host_config_get(key: u64): u64;
@external("extism:host/env", "var_get") declare function host_var_get(key: u64): u64;
@external("extism:host/env", "var_set") declare function host_var_set(key: u64, value: u64): void;
@external("extism:host/env", "log_trace") declare function host_log_trace(offset: u64): void;
@external("extism:host/env", "log_debug") declare function host_log_debug(offset: u64): void;
@external("extism:host/env", "log_info") declare function host_log_info(offset: u64): void;
@external("extism:host/env", "log_warn") declare function host_log_warn(offset: u64): void;
@external("extism:host/env", "log_error") declare function host_log_error(offset: u64): void;
@external("wasi_snapshot_preview1", "random_get") declare function random_get(destination: usize, length: usize): u32;

/**
 * Copies bytes of the host's memory. Exported by name, so that exomonad's engine can put one `memory.copy` in the
 * place of the body; it has a loop, so that the compiler does not inline it.
 */
export function exomonad_memory_read(source: u64, destination: usize, length: i32): void {
  let at = 0;
  for (; at + 8 <= length; at += 8) store<u64>(destination + at, host_load_u64(source + at));
  for (; at < length; at++) store<u8>(destination + at, host_load_u8(source + at) as u8);
}

/** Copies bytes to the host's memory; see `exomonad_memory_read`. */
export function exomonad_memory_write(destination: u64, source: usize, length: i32): void {
  let at = 0;
  for (; at + 8 <= length; at += 8) host_store_u64(destination + at, load<u64>(source + at));
  for (; at < length; at++) host_store_u8(destination + at, load<u8>(source + at));
}

/** A block of the host's memory that holds these bytes. */
export function blockOf(bytes: usize, length: i32): u64 {
  const offset = host_alloc(length as u64);
  exomonad_memory_write(offset, bytes, length);
  return offset;
}

/** A block that holds a text, in UTF-8. Half of a surrogate pair is no character: U+FFFD stands in its place. */
export function blockOfText(text: string): u64 {
  const bytes = String.UTF8.encode(text, false, String.UTF8.ErrorMode.REPLACE);
  return blockOf(changetype<usize>(bytes), bytes.byteLength);
}

/** The bytes of a block, which is freed; nothing if there is no block. */
export function takeBlock(offset: u64): ArrayBuffer | null {
  if (offset === 0) return null;
  const length = host_length(offset) as i32;
  const bytes = new ArrayBuffer(length);
  exomonad_memory_read(offset, changetype<usize>(bytes), length);
  host_free(offset);
  return bytes;
}

/** Frees a block. */
export function freeBlock(offset: u64): void {
  host_free(offset);
}

/** The input of the call. */
export function input(): ArrayBuffer {
  const length = host_input_length() as i32;
  const bytes = new ArrayBuffer(length);
  exomonad_memory_read(host_input_offset(), changetype<usize>(bytes), length);
  return bytes;
}

/** Sets the output of the call. */
export function setOutput(bytes: usize, length: i32): void {
  host_output_set(blockOf(bytes, length), length as u64);
}

/** Sets the message with which the call fails. */
export function setError(message: string): void {
  host_error_set(blockOfText(message));
}

/** A value of the role's configuration. */
export function config(key: string): string | null {
  const block = blockOfText(key);
  const value = takeBlock(host_config_get(block));
  host_free(block);
  return value === null ? null : String.UTF8.decode(value);
}

/** The value of a variable. Variables last as long as the sandbox: for one call, if the role does not keep warm ones. */
export function getVariable(key: string): ArrayBuffer | null {
  const block = blockOfText(key);
  const value = takeBlock(host_var_get(block));
  host_free(block);
  return value;
}

/** Sets a variable; nothing removes it. */
export function setVariable(key: string, value: ArrayBuffer | null): void {
  const block = blockOfText(key);
  const content = value === null ? 0 : blockOf(changetype<usize>(value), value.byteLength);
  host_var_set(block, content);
  host_free(block);
  if (content !== 0) host_free(content);
}

/** Log lines of the host, by severity. */
export namespace log {
  export function trace(line: string): void {
    host_log_trace(blockOfText(line));
  }
  export function debug(line: string): void {
    host_log_debug(blockOfText(line));
  }
  export function info(line: string): void {
    host_log_info(blockOfText(line));
  }
  export function warn(line: string): void {
    host_log_warn(blockOfText(line));
  }
  export function error(line: string): void {
    host_log_error(blockOfText(line));
  }
}

/** What `throw`, a failed assertion and an index out of range do: the message goes to the host, and the call ends. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message === null ? "the plugin aborted" : message;
  setError(file === null ? text : `${text} at ${file}:${line}:${column}`);
  unreachable();
}

/** The seed of `Math.random`, which is asked for when the first number is drawn. */
export function seed(): f64 {
  const bytes = memory.data(8);
  random_get(bytes, 8);
  return reinterpret<f64>(load<u64>(bytes));
}
