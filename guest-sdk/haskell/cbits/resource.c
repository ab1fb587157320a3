/* The entry points of a plugin that has resources. */
#include "exomonad_guest.h"

EXOMONAD_EXPORT(handle_list_resources)
EXOMONAD_EXPORT(handle_list_resource_templates)
EXOMONAD_EXPORT(handle_read_resource)
