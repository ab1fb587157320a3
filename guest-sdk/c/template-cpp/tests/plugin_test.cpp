// Tests of the plugin, natively: `zig run tests/plugin_test.cpp -lc++ -Iexomonad-sdk -cflags -std=c++20 --`.
#include "../plugin.cpp"

#include <cstdio>

static int failures;

#define CHECK(condition) \
    ((condition) ? (void)0 : (void)(failures++, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))

static void a_greeting_names_the_branch() {
    exo_fake_reset();
    exo_fake_answer("git_get_branch", R"({"head":"branch","branch":"main"})");
    auto greeting = greet({.name = "Ada"});
    CHECK(greeting && greeting->text == "Hello Ada on main");
}

static void without_a_repository_the_greeting_fails() {
    exo_fake_reset();
    exo_fake_failure("git_get_branch", "not_found", "there is no repository");
    auto greeting = greet({.name = "Ada"});
    CHECK(!greeting && greeting.error().code == exomonad::ErrorCode::NotFound);
}

int main() {
    a_greeting_names_the_branch();
    without_a_repository_the_greeting_fails();
    std::puts(failures ? "FAILED" : "ok");
    return failures != 0;
}
