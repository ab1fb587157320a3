// Tests of the plugin, natively: `zig run tests/plugin_test.c -lc -Iexomonad-sdk`.
#include "../plugin.c"

#include <stdio.h>

static int failures;

#define CHECK(condition) \
    ((condition) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))

static void a_greeting_names_the_branch(void)
{
    exo_fake_reset();
    exo_fake_answer("git_get_branch", "{\"head\":\"branch\",\"branch\":\"main\"}");
    greet_args args = {.name = EXO_TEXT("Ada")};
    greeting result = {0};
    const exo_error *error = greet_tool(&args, &result, NULL);
    CHECK(error == EXO_OK);
    CHECK(exo_text_is(result.text, "Hello Ada on main"));
}

static void without_a_repository_the_greeting_fails(void)
{
    exo_fake_reset();
    exo_fake_failure("git_get_branch", "not_found", "there is no repository");
    greet_args args = {.name = EXO_TEXT("Ada")};
    greeting result = {0};
    const exo_error *error = greet_tool(&args, &result, NULL);
    CHECK(error && error->code == EXO_ERROR_CODE_NOT_FOUND);
}

int main(void)
{
    a_greeting_names_the_branch();
    without_a_repository_the_greeting_fails();
    puts(failures ? "FAILED" : "ok");
    return failures != 0;
}
