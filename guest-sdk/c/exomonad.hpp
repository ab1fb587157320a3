// exomonad's guest SDK for C++20: one header. See README.md.
#ifndef EXOMONAD_HPP
#define EXOMONAD_HPP

#include "exomonad/plugin.hpp"

#ifndef __wasm__
#include "exomonad/testing.h"
#endif

#endif
