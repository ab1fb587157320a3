/* The entry point of a plugin that completes arguments of prompts and variables of resources. */
#include "exomonad_guest.h"

EXOMONAD_EXPORT(handle_complete)
