/* The interface to the host, in C: GHC cannot name the module that a function is imported from.
 *
 * In WebAssembly this is Extism's plugin ABI: memory that belongs to the host's kernel, reached by
 * offset. Natively, for tests, there is no host, and every answer is empty. */
#ifndef EXOMONAD_GUEST_H
#define EXOMONAD_GUEST_H

#include <stdint.h>

/* Runs the program's `main`, which asks for the entry point that called it; returns the host's return
 * code: 0, or 1 after the error was reported to the host. */
int32_t exomonad_enter(const char *entry);

#ifdef __wasm__

#define EXOMONAD_NAMED_EXPORT(name) __attribute__((export_name(name)))

/* An effect's host function: offset of the request in, offset of the answer out. */
#define EXOMONAD_EFFECT(function)                                                                     \
  __attribute__((import_module("extism:host/user"), import_name(#function)))                          \
  uint64_t exomonad_import_##function(uint64_t request);                                              \
  uint64_t exomonad_effect_##function(uint64_t request) { return exomonad_import_##function(request); }

#else

#define EXOMONAD_NAMED_EXPORT(name)
#define EXOMONAD_EFFECT(function)                                                                     \
  uint64_t exomonad_effect_##function(uint64_t request) { (void)request; return 0; }

#endif

/* An entry point of the plugin. */
#define EXOMONAD_EXPORT(entry)                                                                        \
  EXOMONAD_NAMED_EXPORT(#entry) int32_t entry(void) { return exomonad_enter(#entry); }

#endif
