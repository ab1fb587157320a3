// exomonad's guest SDK for C: one header. See README.md.
#ifndef EXOMONAD_H
#define EXOMONAD_H

#include "exomonad/workflow.h"

#ifndef __wasm__
#include "exomonad/testing.h"
#endif

#endif
