/* The entry points of a plugin that has workflows. */
#include "exomonad_guest.h"

EXOMONAD_EXPORT(handle_list_workflows)
EXOMONAD_EXPORT(handle_workflow)
EXOMONAD_EXPORT(handle_query)
EXOMONAD_EXPORT(handle_migrate)
