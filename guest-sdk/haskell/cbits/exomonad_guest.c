/* Extism's plugin ABI (https://extism.org/docs/concepts/memory), and the calls into Haskell. */
#include "exomonad_guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *current_entry = "";
static int32_t current_status;

/* The entry point that called `main`. */
const char *exomonad_entry(void) { return current_entry; }

/* The return code of the entry point. */
void exomonad_set_status(int32_t status) { current_status = status; }

#ifdef __wasm__

#include "Rts.h"

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
HOST(alloc) uint64_t host_alloc(uint64_t length);
HOST(free) void host_free(uint64_t offset);
HOST(length) uint64_t host_length(uint64_t offset);
HOST(load_u8) uint32_t host_load_u8(uint64_t offset);
HOST(load_u64) uint64_t host_load_u64(uint64_t offset);
HOST(store_u8) void host_store_u8(uint64_t offset, uint32_t value);
HOST(store_u64) void host_store_u64(uint64_t offset, uint64_t value);
HOST(input_offset) uint64_t host_input_offset(void);
HOST(input_length) uint64_t host_input_length(void);
HOST(output_set) void host_output_set(uint64_t offset, uint64_t length);
HOST(error_set) void host_error_set(uint64_t offset);

/* All copies between the module and the kernel go through these two, which exomonad's engine finds by
 * name and replaces by one `memory.copy` each; under any other Extism host they run unchanged. */
EXOMONAD_NAMED_EXPORT("exomonad_memory_read")
__attribute__((noinline)) void exomonad_memory_read(uint64_t source, uint8_t *destination, uint32_t length) {
  uint32_t at = 0;
  for (; length - at >= 8; at += 8) {
    uint64_t word = host_load_u64(source + at);
    memcpy(destination + at, &word, 8);
  }
  for (; at < length; at++) destination[at] = (uint8_t)host_load_u8(source + at);
}

EXOMONAD_NAMED_EXPORT("exomonad_memory_write")
__attribute__((noinline)) void exomonad_memory_write(uint64_t destination, const uint8_t *source, uint32_t length) {
  uint32_t at = 0;
  for (; length - at >= 8; at += 8) {
    uint64_t word;
    memcpy(&word, source + at, 8);
    host_store_u64(destination + at, word);
  }
  for (; at < length; at++) host_store_u8(destination + at, source[at]);
}

uint32_t exomonad_input_length(void) { return (uint32_t)host_input_length(); }

void exomonad_input_read(uint8_t *destination, uint32_t length) {
  exomonad_memory_read(host_input_offset(), destination, length);
}

/* A new block of the kernel's memory that holds these bytes. */
uint64_t exomonad_block_new(const uint8_t *bytes, uint32_t length) {
  uint64_t block = host_alloc(length);
  exomonad_memory_write(block, bytes, length);
  return block;
}

uint32_t exomonad_block_length(uint64_t block) { return block == 0 ? 0 : (uint32_t)host_length(block); }

void exomonad_block_read(uint64_t block, uint8_t *destination, uint32_t length) {
  exomonad_memory_read(block, destination, length);
}

void exomonad_block_free(uint64_t block) {
  if (block != 0) host_free(block);
}

void exomonad_output(const uint8_t *bytes, uint32_t length) {
  host_output_set(exomonad_block_new(bytes, length), length);
}

void exomonad_error(const uint8_t *bytes, uint32_t length) {
  host_error_set(exomonad_block_new(bytes, length));
}

static void fail(const char *message) {
  exomonad_error((const uint8_t *)message, (uint32_t)strlen(message));
  current_status = 1;
}

/* The runtime's last message before it aborts, which the host gets instead of a trap's address. */
static void runtime_failed(const char *format, va_list arguments) {
  static char message[512] = "the Haskell runtime gave up: ";
  size_t begin = strlen(message);
  /* A thread waits for a value that waits for the thread, so that nothing could be scheduled. */
  if (strncmp(format, "schedule: invalid", strlen("schedule: invalid")) == 0)
    strcpy(message + begin, "a value needs itself (<<loop>>)");
  else
    vsnprintf(message + begin, sizeof message - begin, format, arguments);
  fail(message);
  __builtin_trap();
}

/* The program's `main`, as GHC calls it. */
extern StgClosure ZCMain_main_closure;

int32_t exomonad_enter(const char *entry) {
  current_entry = entry;
  current_status = 1;
  Capability *cap = rts_lock();
  rts_evalLazyIO(&cap, &ZCMain_main_closure, NULL);
  SchedulerStatus ended = rts_getSchedStatus(cap);
  rts_unlock(cap);
  switch (ended) {
    case Success: break;
    case HeapExhausted: fail("the plugin's memory is used up"); break;
    case Killed: fail("the plugin ended by an exception that nobody caught"); break;
    default: fail("the plugin was interrupted"); break;
  }
  return current_status;
}

/* Called by the host once, after `_initialize`. The first run of `main` evaluates what every call needs,
 * and the collection after it compacts that, so that a host that takes a snapshot of the module here
 * starts each sandbox with all of it. */
EXOMONAD_NAMED_EXPORT("hs_init") void exomonad_hs_init(int32_t argc, int32_t argv) {
  (void)argc;
  (void)argv;
  RtsConfig config = defaultRtsConfig;
  config.rts_opts_enabled = RtsOptsAll;
  /* A small nursery touches few pages of a fresh sandbox; a stack that overflows is an exception long
   * before the sandbox's memory is used up. */
  config.rts_opts = "-A256k -K8m";
  fatalInternalErrorFn = runtime_failed;
  hs_init_ghc(NULL, NULL, config);
  /* Values that only `main` refers to must not be collected. */
  getStablePtr((StgPtr)&ZCMain_main_closure);
  exomonad_enter("");
  performMajorGC();
}

EXOMONAD_EXPORT(handle_list_tools)
EXOMONAD_EXPORT(handle_mcp_call)
EXOMONAD_EXPORT(describe)

#else

int32_t exomonad_enter(const char *entry) { current_entry = entry; return current_status; }
uint32_t exomonad_input_length(void) { return 0; }
void exomonad_input_read(uint8_t *destination, uint32_t length) { (void)destination; (void)length; }
uint64_t exomonad_block_new(const uint8_t *bytes, uint32_t length) { (void)bytes; (void)length; return 0; }
uint32_t exomonad_block_length(uint64_t block) { (void)block; return 0; }
void exomonad_block_read(uint64_t block, uint8_t *destination, uint32_t length) { (void)block; (void)destination; (void)length; }
void exomonad_block_free(uint64_t block) { (void)block; }
void exomonad_output(const uint8_t *bytes, uint32_t length) { (void)bytes; (void)length; }
void exomonad_error(const uint8_t *bytes, uint32_t length) { (void)bytes; (void)length; }

#endif
