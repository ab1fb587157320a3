// Tests of the SDK in C: `tests/run`.
#include <exomonad.h>

#include <stdio.h>

static int failures;

#define CHECK(condition) \
    ((condition) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))
#define CHECK_TEXT(text, expected) check_text(text, expected, __LINE__)

static void check_text(exo_text text, const char *expected, int line)
{
    if (exo_text_is(text, expected) && text.data) return;
    failures++;
    printf("%s:%d: got %.*s\n    expected %s\n", __FILE__, line, EXO_ARG(text), expected);
}

// Types.

#define COLORS(X, T)        \
    X(T, red, "Like blood.") \
    X(T, green, "Like grass.")
EXO_ENUMERATION(color, COLORS);

#define POINT(X, T)               \
    X(T, required, int32_t, x, "") \
    X(T, required, double, y, "")
EXO_RECORD(point, POINT);

#define EXAMPLE(X, T)                                      \
    X(T, required, exo_text, name, "The \"name\".")        \
    X(T, optional, uint64_t, count, "")                    \
    X(T, optional, int64_t, below, "")                     \
    X(T, optional, bool, flag, "")                         \
    X(T, optional, color, shade, "")                       \
    X(T, optional, point, place, "")                       \
    X(T, empty, point_list, points, "")                    \
    X(T, optional, exo_text_list, words, "")               \
    X(T, empty, exo_text_map, labels, "")                  \
    X(T, optional, exo_bytes, bytes, "")                   \
    X(T, optional, exo_json, any, "")
EXO_RECORD(example, EXAMPLE);

/// Decoded and encoded again, or the problem.
static exo_text again(const char *json)
{
    example value;
    exo_text problem = exo_decode(exo_json_of(json), &example_type, &value);
    if (problem.data) return problem;
    exo_json encoded = exo_encode(&example_type, &value);
    return (exo_text){encoded.data, encoded.length};
}

static void what_is_decoded_is_encoded_again(void)
{
    exo_fake_reset();
    const char *full = "{\"name\":\"a\\\"\\n\xC3\xBC\",\"count\":18446744073709551615,\"below\":-9223372036854775808,"
                       "\"flag\":false,\"shade\":\"green\",\"place\":{\"x\":-1,\"y\":0.1},\"points\":[{\"x\":2,\"y\":1e+300}],"
                       "\"words\":[],\"labels\":{\"a\":\"b\"},\"bytes\":\"AQI=\",\"any\":[1.50,12345678901234567890]}";
    CHECK_TEXT(again(full), full);
    CHECK_TEXT(again(" { \"more\" : {\"x\":[null,{}]} , \"name\" : \"\\ud83d\\ude00\\u0041\" } "), "{\"name\":\"\xF0\x9F\x98\x80" "A\"}");
    CHECK_TEXT(again("{\"name\":\"\",\"count\":null,\"place\":null,\"points\":[],\"labels\":{},\"any\":null}"), "{\"name\":\"\"}");
    CHECK_TEXT(again("{\"name\":\"a\",\"labels\":{\"k\":\"1\",\"k\":\"2\"}}"), "{\"name\":\"a\",\"labels\":{\"k\":\"2\"}}");
}

static void what_does_not_fit_says_where(void)
{
    exo_fake_reset();
    CHECK_TEXT(again("{}"), "$.name: missing");
    CHECK_TEXT(again(""), "$: expected an object, found nothing");
    CHECK_TEXT(again("{\"name\":1}"), "$.name: expected a text, found a number");
    CHECK_TEXT(again("{\"name\":\"a\",\"points\":[{\"x\":1,\"y\":2},{\"y\":2}]}"), "$.points[1].x: missing");
    CHECK_TEXT(again("{\"name\":\"a\",\"count\":18446744073709551616}"), "$.count: the number is too large");
    CHECK_TEXT(again("{\"name\":\"a\",\"count\":-1}"), "$.count: the number is negative");
    CHECK_TEXT(again("{\"name\":\"a\",\"count\":1.0}"), "$.count: expected a whole number, found a fraction");
    CHECK_TEXT(again("{\"name\":\"a\",\"below\":-9223372036854775809}"), "$.below: the number is too small");
    CHECK_TEXT(again("{\"name\":\"a\",\"shade\":\"blue\"}"), "$.shade: not one of the constants: blue");
    CHECK_TEXT(again("{\"name\":\"a\",\"labels\":{\"k\":1}}"), "$.labels.k: expected a text, found a number");
    CHECK_TEXT(again("{\"name\":\"a\",\"bytes\":\"A\"}"), "$.bytes: not base64: its length is wrong");
    CHECK_TEXT(again("{\"name\":\"\\ud800\"}"), "$.name: a surrogate that stands alone");
    CHECK_TEXT(again("{\"name\":\"\xED\xA0\x80\"}"), "$.name: the text is not UTF-8");
    CHECK_TEXT(again("{\"name\":\"a\tb\"}"), "$.name: a control character in a text");
    CHECK_TEXT(again("{\"name\":\"a\"},"), "$: something follows the value");
    CHECK_TEXT(again("{\"name\":\"a\",}"), "$: expected a key, found no JSON");
}

static void nesting_is_bounded(void)
{
    exo_fake_reset();
    static char deep[300000];
    memset(deep, '[', sizeof deep);
    CHECK_TEXT(exo_json_check((exo_json){deep, sizeof deep}), "$: nested deeper than 128");
    memset(deep + 128, ']', 128);
    CHECK(!exo_json_check((exo_json){deep, 256}).data);
    CHECK(exo_json_check((exo_json){deep, 255}).data);
}

static void hostile_bytes_are_refused_or_kept(void)
{
    const char corpus[] = "{\"name\":\"a\\u00e9\\ud83d\\ude00\",\"count\":12,\"place\":{\"x\":1,\"y\":2e3},\"words\":[\"x\",\"\"],"
                          "\"bytes\":\"AQI=\",\"any\":{\"x\":[null,1.5e3,\"\\n\"]}}";
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        exo_fake_reset();
        char *text = exo_copy(corpus, sizeof corpus - 1);
        for (int change = 0; change < round % 5; change++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            text[random % (sizeof corpus - 1)] = (char)(random >> 32);
        }
        // In memory of its own size, so that a sanitizer sees what reads beyond it.
        size_t length = random % sizeof corpus;
        char *exact = exo_alloc(length);
        memcpy(exact, text, length);
        example value;
        if (exo_decode((exo_json){exact, length}, &example_type, &value).data) continue;
        exo_json once = exo_encode(&example_type, &value);
        CHECK(!exo_decode(once, &example_type, &value).data);
        exo_json twice = exo_encode(&example_type, &value);
        CHECK(exo_text_equals((exo_text){once.data, once.length}, (exo_text){twice.data, twice.length}));
    }
}

static void a_schema_has_the_fields_and_what_is_required(void)
{
    exo_fake_reset();
    exo_json schema = exo_schema(&point_type);
    CHECK_TEXT(((exo_text){schema.data, schema.length}),
               "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\",\"minimum\":-2147483648,\"maximum\":2147483647},"
               "\"y\":{\"type\":\"number\"}},\"required\":[\"x\",\"y\"],\"additionalProperties\":false}");
    CHECK(!exo_json_check(exo_schema(&example_type)).data);
}

static void texts_are_formatted(void)
{
    exo_fake_reset();
    CHECK_TEXT(exo_format("%s %.*s %c %d %u %lld %llu %zu %%", "a", 2, "bcd", 'e', -1, 2u, (long long)INT64_MIN,
                          (unsigned long long)UINT64_MAX, (size_t)3),
               "a bc e -1 2 -9223372036854775808 18446744073709551615 3 %");
}

// A plugin.

#define NAME(X, T) X(T, required, exo_text, name, "The name.")
EXO_RECORD(name_args, NAME);
#define TEXT_RESULT(X, T) X(T, required, exo_text, text, "The text.")
EXO_RECORD(text_result, TEXT_RESULT);

EXO_TOOL(greet, name_args, text_result, "Greets.", .read_only = true)
{
    exo_git_get_branch_t request = {0};
    exo_git_branch_t answer;
    EXO_TRY(exo_git_get_branch(&request, &answer));
    result->text = exo_format("Hello %s on %s", args->name.data, answer.branch.data);
    return EXO_OK;
}

EXO_TOOL(refuse, exo_nothing, exo_text, "Refuses.") { return exo_fail("no, %s", "thanks"); }

EXO_PLUGIN("test", "1.0.0", greet, refuse);

EXO_HOOK(pre_tool_use)
{
    *output = exo_deny("%.*s", EXO_ARG(exo_json_text(input->payload, "tool_name")));
    return EXO_OK;
}

EXO_RESOURCE(note, "notes://{name}", "A note.")
{
    content->text = exo_format("about %s", exo_text_map_get(variables, "name").data);
    return EXO_OK;
}
EXO_RESOURCES(note);

EXO_PROMPT(ask, name_args, "Asks.")
{
    exo_say(result, EXO_MESSAGE_ROLE_USER, exo_format("Greet %s.", args->name.data));
    return EXO_OK;
}
EXO_PROMPTS(ask);
EXO_COMPLETIONS({.prompt = "ask", .argument = "name", .values = EXO_VALUES("Ada", "Grace")});

static const exo_error *query_stage(const void *state, const void *arguments, void *answer)
{
    (void)arguments;
    *(exo_text *)answer = ((const text_result *)state)->text;
    return EXO_OK;
}

static const exo_error *migrate_state(uint32_t from_version, exo_json old, void *state)
{
    (void)from_version;
    return exo_decode(old, &exo_text_type, &((text_result *)state)->text).data ? exo_fail("no") : EXO_OK;
}

EXO_STARTS(kv_set);

EXO_WORKFLOW(flow, name_args, text_result, "Flows.", .state = &text_result_type, .state_version = 2,
             .migrate = migrate_state, .queries = EXO_QUERIES({"stage", NULL, &exo_text_type, query_stage}))
{
    text_result state = {EXO_TEXT("begun")};
    EXO_TRY(exo_run_set_state(run, &state));
    exo_kv_set_t set = {.key = EXO_TEXT("greeted"), .value = exo_encode(&exo_text_type, &input->name)};
    exo_handle handle;
    exo_done_t done;
    EXO_TRY(EXO_START(kv_set, &set, NULL, 0, &handle));
    EXO_TRY(exo_run_wait(run, &handle, &done, NULL));
    EXO_TRY(exo_run_sleep(run, 10));
    exo_text payload;
    EXO_TRY(exo_run_wait_signal(run, "go", &exo_text_type, &payload));
    if (exo_text_is(payload, "again")) return exo_continue_as_new(exo_encode(&name_args_type, input));
    if (exo_text_is(payload, "fail")) return exo_workflow_fail("own_code", "as asked");
    output->text = payload;
    return EXO_OK;
}
EXO_WORKFLOWS(flow);

#define CONTEXT "\"context\":{\"role\":\"r\",\"callId\":\"c\"}}"

static void tools_perform_effects_and_fail_as_results(void)
{
    exo_fake_reset();
    exo_fake_answer("git_get_branch", "{\"head\":\"branch\",\"branch\":\"main\"}");
    const char *call = "{\"name\":\"greet\",\"arguments\":{\"name\":\"Ada\"}," CONTEXT;
    CHECK_TEXT(exo_fake_call(handle_mcp_call, call),
               "{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"text\\\":\\\"Hello Ada on main\\\"}\"}],"
               "\"structuredContent\":{\"text\":\"Hello Ada on main\"}}");
    CHECK(exo_text_is(*(exo_text *)&(exo_json){exo_fake_request_to("git_get_branch", 0).data, 2}, "{}"));
    exo_fake_failure("git_get_branch", "not_found", "no repository");
    CHECK_TEXT(exo_fake_call(handle_mcp_call, call),
               "{\"content\":[{\"type\":\"text\",\"text\":\"no repository\"}],\"isError\":true}");
    exo_fake_answer("git_get_branch", "{}");
    CHECK_TEXT(exo_fake_call(handle_mcp_call, call),
               "{\"content\":[{\"type\":\"text\",\"text\":\"the host's answer to git_get_branch cannot be read: $.head: "
               "missing\"}],\"isError\":true}");
    CHECK_TEXT(exo_fake_call(handle_mcp_call, "{\"name\":\"refuse\"," CONTEXT),
               "{\"content\":[{\"type\":\"text\",\"text\":\"no, thanks\"}],\"isError\":true}");
    CHECK_TEXT(exo_fake_call(handle_mcp_call, "{\"name\":\"x\"," CONTEXT),
               "{\"content\":[{\"type\":\"text\",\"text\":\"no tool `x`; there are greet, refuse\"}],\"isError\":true}");
    CHECK(!exo_fake_call(handle_mcp_call, "{").data && exo_fake_host.error.data);
    CHECK(!exo_json_check(exo_json_of(exo_fake_call(handle_list_tools, "").data)).data);
    CHECK_TEXT(exo_fake_call(describe, ""), "{\"name\":\"test\",\"version\":\"1.0.0\",\"sdk\":\"c/" EXO_VERSION "\"}");
}

static void hooks_resources_prompts_and_completions(void)
{
    exo_fake_reset();
    CHECK_TEXT(exo_fake_call(handle_pre_tool_use,
                             "{\"event\":\"pre_tool_use\",\"payload\":{\"tool_name\":\"Bash\"}," CONTEXT),
               "{\"decision\":\"deny\",\"reason\":\"Bash\"}");
    CHECK_TEXT(exo_fake_call(handle_read_resource, "{\"uri\":\"notes://d%C3%A9j%C3%A0\"," CONTEXT),
               "{\"contents\":[{\"uri\":\"notes://d%C3%A9j%C3%A0\",\"mimeType\":\"text/plain\",\"text\":\"about d\xC3\xA9j\xC3\xA0\"}]}");
    CHECK_TEXT(exo_fake_call(handle_read_resource, "{\"uri\":\"notes://a/b\"," CONTEXT),
               "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no resource `notes://a/b`\"}}");
    CHECK_TEXT(exo_fake_call(handle_get_prompt, "{\"name\":\"ask\",\"arguments\":{\"name\":\"Ada\"}," CONTEXT),
               "{\"description\":\"Asks.\",\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"Greet Ada.\"}}]}");
    CHECK_TEXT(exo_fake_call(handle_get_prompt, "{\"name\":\"ask\"," CONTEXT),
               "{\"error\":{\"code\":\"invalid_input\",\"message\":\"the arguments do not fit: $.name: missing\"}}");
    CHECK_TEXT(exo_fake_call(handle_complete, "{\"prompt\":\"ask\",\"argument\":\"name\",\"value\":\"G\"," CONTEXT),
               "{\"completion\":{\"values\":[\"Grace\"]}}");
}

static void a_template_takes_what_stands_between_its_texts(void)
{
    exo_fake_reset();
    static const struct { const char *template_, *uri, *found; } cases[] = {
        {"a://b", "a://b", ""},         {"a://b", "a://c", NULL},           {"a://{x}", "a://1", "x=1,"},
        {"a://{x}", "a://", NULL},      {"a://{x}", "a://1/2", NULL},       {"a://{+x}", "a://1/2", "x=1/2,"},
        {"a://{x}/d", "a://1/d", "x=1,"}, {"a://{x}/d", "a://1/e", NULL},   {"a://{x}/{y}", "a://1/2", "x=1,y=2,"},
        {"a://{x}-{y}", "a://1-2-3", "x=1,y=2-3,"}, {"a://{x}", "a://%ff", NULL}, {"a://{x}", "a://%2", NULL},
        {"a://{x", "a://1", NULL},
    };
    for (size_t nth = 0; nth < sizeof cases / sizeof *cases; nth++) {
        exo_text_map variables;
        exo_writer writer = {NULL, 0, 0};
        if (!exo_match_template(cases[nth].template_, exo_text_of(cases[nth].uri), &variables)) {
            CHECK(!cases[nth].found);
            continue;
        }
        for (size_t one = 0; one < variables.count; one++)
            exo_write_format(&writer, "%.*s=%.*s,", EXO_ARG(variables.items[one].key), EXO_ARG(variables.items[one].value));
        CHECK_TEXT(exo_written(&writer), cases[nth].found ? cases[nth].found : "(none)");
    }
}

static void a_workflow_runs_to_its_end(void)
{
    exo_fake_reset();
    const char *input = "{\"workflow\":\"flow\",\"input\":{\"name\":\"Ada\"},\"workflowId\":\"w\",\"runId\":\"r\"," CONTEXT;
    exo_fake_signal("go", "\"now\"");
    CHECK_TEXT(exo_fake_call(handle_workflow, input), "{\"end\":\"completed\",\"output\":{\"text\":\"now\"}}");
    exo_json greeted = exo_fake_kv_value("greeted");
    CHECK_TEXT(((exo_text){greeted.data, greeted.length}), "\"Ada\"");
    exo_fake_signal("go", "\"again\"");
    CHECK_TEXT(exo_fake_call(handle_workflow, input), "{\"end\":\"continue_as_new\",\"input\":{\"name\":\"Ada\"}}");
    exo_fake_signal("go", "\"fail\"");
    CHECK_TEXT(exo_fake_call(handle_workflow, input),
               "{\"end\":\"failed\",\"failure\":{\"code\":\"own_code\",\"message\":\"as asked\"}}");
    exo_fake_failure("workflow_sleep", "cancelled", "the run is cancelled");
    CHECK_TEXT(exo_fake_call(handle_workflow, input), "{\"end\":\"cancelled\"}");
    CHECK_TEXT(exo_fake_call(handle_query, "{\"workflow\":\"flow\",\"query\":\"stage\",\"state\":{\"text\":\"done\"}," CONTEXT),
               "{\"value\":\"done\"}");
    CHECK_TEXT(exo_fake_call(handle_migrate, "{\"workflow\":\"flow\",\"state\":\"done\",\"fromVersion\":1,\"toVersion\":2," CONTEXT),
               "{\"state\":{\"text\":\"done\"}}");
    CHECK(!exo_json_check(exo_json_of(exo_fake_call(handle_list_workflows, "").data)).data);
}

int main(void)
{
    what_is_decoded_is_encoded_again();
    what_does_not_fit_says_where();
    nesting_is_bounded();
    hostile_bytes_are_refused_or_kept();
    a_schema_has_the_fields_and_what_is_required();
    texts_are_formatted();
    tools_perform_effects_and_fail_as_results();
    hooks_resources_prompts_and_completions();
    a_template_takes_what_stands_between_its_texts();
    a_workflow_runs_to_its_end();
    exo_arena_reset();
    puts(failures ? "FAILED" : "ok");
    return failures != 0;
}
