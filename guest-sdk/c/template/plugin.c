// The plugin {{name}}.
#include <exomonad.h>

#define GREET_ARGS(X, T) \
    X(T, required, exo_text, name, "The name.")
EXO_RECORD(greet_args, GREET_ARGS);

#define GREETING(X, T) \
    X(T, required, exo_text, text, "The text.")
EXO_RECORD(greeting, GREETING);

EXO_TOOL(greet, greet_args, greeting, "Greets someone, with the current branch.", .read_only = true)
{
    exo_git_get_branch_t request = {0};
    exo_git_branch_t answer;
    EXO_TRY(exo_git_get_branch(&request, &answer));
    const char *place = answer.branch.data ? answer.branch.data : "nowhere";
    result->text = exo_format("Hello %s on %s", args->name.data, place);
    return EXO_OK;
}

EXO_PLUGIN("{{name}}", "0.1.0", greet);
