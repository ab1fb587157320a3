// The plugin {{name}}.
#include <exomonad.hpp>

struct GreetArgs {
    std::string name;
};
EXOMONAD_RECORD(GreetArgs, (name, "The name."))

struct Greeting {
    std::string text;
};
EXOMONAD_RECORD(Greeting, (text, "The text."))

static exomonad::Result<Greeting> greet(const GreetArgs &args) {
    auto answer = EXOMONAD_TRY(exomonad::git::get_branch());
    return Greeting{"Hello " + args.name + " on " + answer.branch.value_or("nowhere")};
}

EXOMONAD_PLUGIN("{{name}}", "0.1.0",
                exomonad::tool<greet>("greet", "Greets someone, with the current branch.", {.read_only = true}))
