/* The entry points of a plugin that has prompts. */
#include "exomonad_guest.h"

EXOMONAD_EXPORT(handle_list_prompts)
EXOMONAD_EXPORT(handle_get_prompt)
