use proptest::prelude::*;
use serde_json::json;

use super::work::{Stop, Work};
use super::*;

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text, &mut STATES.clone())
}

fn matches(text: &str, value: &str) -> bool {
    let pattern = pattern(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
    pattern.is_match(value, &mut Work::new(1_000_000)).unwrap()
}

fn schema(value: Value) -> Schema {
    Schema::new(value, &mut STATES.clone()).unwrap()
}

fn violations(schema: &Schema, value: &Value) -> Vec<(String, String)> {
    let all = schema
        .violations(value, &mut Work::new(10_000_000))
        .unwrap();
    all.into_iter()
        .map(|all| (all.pointer, all.message))
        .collect()
}

/// Patterns as schema makers write them, with texts that match and texts that do not. The expected results
/// are those of a JavaScript engine with the flag `u`, or without it where the pattern is an error with it.
#[test]
fn patterns_of_ecma_262_mean_what_they_mean_there() {
    let zod_email = r"^(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$";
    let zod_duration = r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d+)?S)?)?)$";
    let zod_hostname = r"^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[-0-9a-zA-Z]{0,61}[0-9a-zA-Z])?)*\.?$";
    let zod_date = r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))$";
    let long = format!("{}.example", "a".repeat(63));
    let too_long = format!("{}.example", "a".repeat(64));
    let cases: &[(&str, &[&str], &[&str])] = &[
        (r"^[\w-.]+$", &["a-b.c_9"], &["a b", "", "é"]),
        (r"^[^]$", &["a", "\n", "😀"], &["", "ab"]),
        (r"^[]$", &[], &["", "]"]),
        (r"^\d+$", &["0123"], &["٣", "१"]),
        (r"^\w$", &["_"], &["é", "ß"]),
        (
            r"^\s$",
            &["\u{feff}", "\u{a0}", "\u{2028}", "\t"],
            &["\u{85}", "x"],
        ),
        (
            r"^https?:\/\/[^\s\/$.?#].[^\s]*$",
            &["http://a.b/c"],
            &["ftp://a.b", "http:///"],
        ),
        (r"^a\-b\@c\_\#$", &["a-b@c_#"], &["ab"]),
        (r"^(?<year>\d{4})-(?<month>\d\d)$", &["2024-05"], &["24-05"]),
        (r"^(?!\s*$).+", &["a", "  a"], &["", "   "]),
        (
            r"^(?=.*[A-Z])(?=.*\d).{8,}$",
            &["Passw0rd"],
            &["password", "P4"],
        ),
        (r"(?=.*[A-Z])(?=.*\d)^.{3,}", &["aB1"], &["ab1"]),
        (r"foo(?=bar)", &["foobar", "foofoobar"], &["foobaz", "foo"]),
        (
            r"(?<!\d)\d{3}(?!\d)",
            &["a123b", "123", "1234 567"],
            &["1234", "12"],
        ),
        (r"(?<=\$)\d+", &["cost $5"], &["cost 5"]),
        (r"^((?!ab).)*$", &["ba", "a", ""], &["ab", "xxab"]),
        (r"^(?:(?!--)[a-z-])+$", &["a-b-c"], &["a--b"]),
        (
            zod_email,
            &["a.b+c@example.co", "x@a.bc"],
            &[".a@b.co", "a..b@c.de", "a@b", "a@-b.co"],
        ),
        (
            zod_duration,
            &["P1Y2M", "PT1H", "P3W", "P1DT1.5S"],
            &["P", "PT", "P1W2D", "1Y", "P1YT"],
        ),
        (
            zod_hostname,
            &["a.b", "localhost", &long],
            &["-a", "a..b", &too_long, ""],
        ),
        (
            zod_date,
            &["2024-02-29", "2023-12-31"],
            &["2023-02-29", "2024-13-01", "2024-04-31"],
        ),
        (r"^\p{Lu}\p{L}*$", &["Éa"], &["éa"]),
        (r"^\p{Script=Greek}+$", &["αβ"], &["ab"]),
        (r"^\P{L}+$", &["12"], &["1a"]),
        (
            r"^(\p{Extended_Pictographic}|\p{Emoji_Component})+$",
            &["😀"],
            &["a"],
        ),
        (r"^.$", &["😀", "é"], &["\n", "\u{2028}", "ab"]),
        (r"^\u{1F600}\uD83D\uDE00\x41\u0042$", &["😀😀AB"], &["😀AB"]),
        (r"^a{,3}$", &["a{,3}"], &["aaa"]),
        (r"^a{2}{", &["aa{"], &["aa"]),
        (r"^x{2,3}?y*?z+?$", &["xxz", "xxxyyz"], &["xz"]),
        (r"^[a-z&&[b]]$", &["a]", "&]", "[]"], &["a"]),
        (r"^[\b\cA\0\n]$", &["\u{8}", "\u{1}", "\0", "\n"], &["b"]),
        (r"\bfoo\b", &["a foo b", "éfooé"], &["food", "_foo"]),
        (r"^$|^\S+$", &["", "a"], &["a b"]),
        (r"a|^b", &["xa", "b"], &["xb"]),
        (r"^(?i)abc(?-i)D$", &["AbCD"], &["AbCd"]),
        (r"^(?i:É)$", &["é", "É"], &["e"]),
        (r"^[\]\\\-]$", &["]", "\\", "-"], &["a"]),
        (r"^(a*)*$", &["", "aaaa"], &["ab"]),
        (r"^(?:a?){3}$", &["", "aaa"], &["aaaa"]),
        ("", &["", "x"], &[]),
    ];
    for (text, fit, do_not) in cases {
        for value in *fit {
            assert!(matches(text, value), "{text} matches {value:?}");
        }
        for value in *do_not {
            assert!(!matches(text, value), "{text} does not match {value:?}");
        }
    }
}

#[test]
fn a_pattern_that_cannot_be_matched_in_linear_time_or_is_none_is_refused_with_the_reason() {
    for (text, reason) in [
        (r"^(a|a)*(a|a)*(a|a)*\1z0$", "backreference"),
        (r"^(?<x>a)\k<x>$", "backreference"),
        (r"^(?>a+)b$", "atomic"),
        (r"^a*+b$", "possessive"),
        (r"((a{1000}){1000}){1000}", "repetitions"),
        (r"((){99999}){99999}", "repetitions"),
        (r"(\p{L}{999}){999}", "repetitions"),
        ("(", "missing"),
        (")", "too many"),
        ("[a", "missing"),
        ("*a", "nothing to repeat"),
        ("a**", "one quantifier"),
        ("a{3,1}", "no range"),
        ("[z-a]", "no range"),
        (r"\p{Nonsense}", "no Unicode property"),
        ("\\", "ends with"),
        (&"(".repeat(5000), "deeper"),
        (&"(?=a)".repeat(500), "looks ahead"),
    ] {
        let found = pattern(text).err().unwrap_or_default();
        assert!(found.contains(reason), "{text:.80}: {found:?}");
    }
}

#[test]
fn the_work_of_a_pattern_grows_with_the_text_and_not_with_its_power() {
    let evil = [
        r"^(a|a)*(a|a)*(a|a)*z0$",
        r"^(a+)+$",
        r"^(([a-z])+.)+[A-Z]([a-z])+$",
        r"(x+x+)+y",
        r"^((?=(a+)+$)a)*b$",
        r"^(?=(a|aa)+$)(?!(a|a?)+b$).*c$",
    ];
    for text in evil {
        let pattern = pattern(text).unwrap();
        for length in [1_000, 10_000] {
            let value = format!("{}!", "a".repeat(length));
            let mut work = Work::new(300 * value.len() as u64);
            assert_eq!(pattern.is_match(&value, &mut work), Ok(false), "{text}");
        }
    }
    // And what is more than there may be ends.
    let pattern = pattern("(a?){1000}b").unwrap();
    let value = "a".repeat(1 << 20);
    assert_eq!(
        pattern.is_match(&value, &mut Work::new(1_000_000)),
        Err(Stop::TooMuch)
    );
}

#[test]
fn a_schema_that_is_none_is_told_from_one_that_is_not_taken() {
    let fault = |value: Value| Schema::new(value, &mut STATES.clone()).err();
    for invalid in [
        json!({"required": 5}),
        json!({"required": ["a", "a"]}),
        json!({"type": "text"}),
        json!({"type": []}),
        json!({"properties": []}),
        json!({"properties": {"a": 5}}),
        json!({"items": [{}]}),
        json!({"anyOf": []}),
        json!({"minLength": -1}),
        json!({"multipleOf": 0}),
        json!({"pattern": 5}),
        json!({"$ref": "#/$defs/none"}),
        json!({"$ref": "#none"}),
        json!({"$defs": {"a": {"not": {"enum": 5}}}}),
        // Of what a reference leads to, too.
        json!({"x": {"type": 5}, "$ref": "#/x"}),
    ] {
        assert!(
            matches!(fault(invalid.clone()), Some(SchemaFault::Invalid(_))),
            "{invalid}"
        );
    }
    let chain: serde_json::Map<String, Value> = (0..10_000)
        .map(|nth| {
            (
                format!("a{nth}"),
                json!({"$ref": format!("#/$defs/a{}", nth + 1)}),
            )
        })
        .chain([("a10000".to_owned(), json!({}))])
        .collect();
    for not_taken in [
        json!({"pattern": r"(a)\1"}),
        json!({"patternProperties": {r"(a)\1": {}}}),
        json!({"$ref": "https://example.com/schema"}),
        json!({"$dynamicRef": "#a"}),
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#/$defs/a"}}}}),
        json!({"$defs": chain, "$ref": "#/$defs/a0"}),
        json!({"$defs": {"a": {"$id": "https://a.example/"}}, "$ref": "#/$defs/a"}),
    ] {
        let text = not_taken.to_string();
        assert!(
            matches!(fault(not_taken), Some(SchemaFault::NotTaken(_))),
            "{text:.200}"
        );
    }
}

#[test]
fn hostile_schemas_and_arguments_end_with_little_work_or_are_given_up() {
    let text = |length| "a".repeat(length);
    let doubled: serde_json::Map<String, Value> = (0..40)
        .map(|nth| {
            let next = json!({"$ref": format!("#/$defs/a{}", nth + 1)});
            (format!("a{nth}"), json!({"allOf": [next, next]}))
        })
        .chain([("a40".to_owned(), json!({"required": ["x"]}))])
        .collect();
    let unique: Vec<Value> = (0..50_000).map(|nth| json!([nth])).collect();
    let names: serde_json::Map<String, Value> = (0..2_000)
        .map(|nth| (format!("key{nth}"), json!(1)))
        .collect();
    let patterns: serde_json::Map<String, Value> = (0..2_000)
        .map(|nth| (format!("{nth}$"), json!({"type": "string"})))
        .collect();
    let nested = (0..100).fold(json!({"pattern": "x$"}), |inner, _| json!({"not": inner}));
    for (schema_value, value, ends) in [
        (
            json!({"$defs": doubled, "$ref": "#/$defs/a0"}),
            json!({"x": 1}),
            false,
        ),
        (json!({"uniqueItems": true}), json!(unique), true),
        (json!({"patternProperties": patterns}), json!(names), false),
        (
            json!({"enum": (0..50_000).collect::<Vec<_>>()}),
            json!(-1),
            true,
        ),
        (nested, json!(text(100_000)), true),
        (
            json!({"pattern": r"^(a|a)*(a|a)*(a|a)*z0$"}),
            json!(text(100_000)),
            true,
        ),
        (
            json!({"propertyNames": {"pattern": "(a?){999}$"}}),
            json!({text(100_000): 1}),
            false,
        ),
    ] {
        let schema = schema(schema_value);
        let checked = schema.violations(&value, &mut Work::new(20_000_000));
        assert_eq!(checked.is_ok(), ends, "{checked:?}");
    }
    // A recursive schema over a deep value.
    let tree = schema(json!({"properties": {"a": {"allOf": [{"allOf": [{"$ref": "#"}]}]}}}));
    let deep = (0..120).fold(json!(1), |inner, _| json!({"a": inner}));
    assert_eq!(
        tree.violations(&deep, &mut Work::new(1_000_000)).err(),
        Some(Stop::TooDeep)
    );
}

#[test]
fn a_violation_tells_nothing_of_the_value_and_is_short() {
    let secret = "s3cret".repeat(1_000_000);
    let schema = schema(json!({
        "properties": {"a": {"type": "integer"}, "b": {"pattern": "^x$", "enum": ["x"], "const": "x",
            "maxLength": 3, "anyOf": [{"const": 1}], "not": {}}},
        "additionalProperties": false,
    }));
    let value = json!({"a": secret, "b": secret, secret.clone(): 1});
    let all = violations(&schema, &value);
    assert_eq!(all.len(), 8, "{all:?}");
    for (pointer, message) in &all {
        assert!(pointer.len() < 3000 && message.len() < 3000);
        assert!(!message.contains("s3crets3cret") || message.contains("not expected"));
    }
    assert!(all.iter().any(|(pointer, _)| pointer.is_empty()), "{all:?}");
}

#[test]
fn a_check_ends_at_its_deadline_or_when_nobody_waits() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};
    let pattern = pattern("(a?){5000}b").unwrap();
    let value = "a".repeat(1 << 20);
    let late = Work::new(u64::MAX).until(Instant::now(), Arc::default());
    let later = Instant::now() + Duration::from_secs(3600);
    let left = Work::new(u64::MAX).until(later, Arc::new(AtomicBool::new(true)));
    for mut work in [late, left] {
        assert_eq!(pattern.is_match(&value, &mut work), Err(Stop::Deadline));
    }
}

/// Values of few kinds, so that they often fit.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
        (-6..7_i32).prop_map(|half| json!(f64::from(half) / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Schemas of all keywords.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![
            "string", "number", "integer", "object", "array", "null", "boolean"
        ])
        .prop_map(|name| json!({"type": name})),
        Just(json!({"type": ["string", "integer"]})),
        values().prop_map(|value| json!({"const": value})),
        prop::collection::vec(values(), 0..4).prop_map(|all| json!({"enum": all})),
        (-3..4_i64).prop_map(|bound| json!({"minimum": bound})),
        (-3..4_i64).prop_map(|bound| json!({"exclusiveMaximum": bound})),
        (1..4_i64).prop_map(|bound| json!({"multipleOf": bound})),
        Just(json!({"multipleOf": 0.5})),
        (0..3_u64).prop_map(|bound| json!({"minLength": bound, "maxItems": bound})),
        (0..3_u64).prop_map(|bound| json!({"maxLength": bound, "minProperties": bound})),
        Just(json!({"uniqueItems": true, "maxProperties": 2})),
        prop::sample::select(vec!["^a", "b$", "^[ab]*$", "^(?!b)", "a|^$"])
            .prop_map(|pattern| json!({"pattern": pattern})),
        Just(json!({"required": ["a"], "dependentRequired": {"b": ["c"]}})),
        Just(json!({"$ref": "#/$defs/d"})),
    ];
    leaf.prop_recursive(3, 32, 3, |inner| {
        let some = || prop::collection::vec(inner.clone(), 1..3);
        let one = || inner.clone();
        let object = (one(), one(), one(), one()).prop_map(|(a, b, rest, names)| {
            json!({"properties": {"a": a}, "patternProperties": {"^b": b},
                "additionalProperties": rest, "propertyNames": names})
        });
        prop_oneof![
            some().prop_map(|all| json!({"allOf": all})),
            some().prop_map(|all| json!({"anyOf": all})),
            some().prop_map(|all| json!({"oneOf": all})),
            one().prop_map(|not| json!({"not": not})),
            (one(), one(), one()).prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
            object,
            (some(), one()).prop_map(|(first, rest)| json!({"prefixItems": first, "items": rest})),
            (one(), 0..3_u64).prop_map(|(item, n)| {
                json!({"contains": item, "minContains": n, "maxContains": n + 1})
            }),
            one().prop_map(|schema| json!({"dependentSchemas": {"a": schema}})),
            (some(), one(), one()).prop_map(|(all, b, rest)| {
                json!({"anyOf": all, "properties": {"b": b}, "unevaluatedProperties": rest})
            }),
            (some(), one(), one()).prop_map(|(all, first, rest)| {
                json!({"allOf": all, "prefixItems": [first], "unevaluatedItems": rest})
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The crate `jsonschema` passes the official suite.
    #[test]
    fn values_fit_schemas_as_another_implementation_has_it(root in schemas(), value in values()) {
        let root = json!({"$defs": {"d": {"type": "object", "minProperties": 1}}, "allOf": [root]});
        let other = jsonschema::draft202012::new(&root).unwrap();
        let schema = Schema::new(root.clone(), &mut STATES.clone()).unwrap();
        let found = violations(&schema, &value);
        prop_assert_eq!(found.is_empty(), other.is_valid(&value), "{} {} {:?}", root, value, found);
    }

    #[test]
    fn any_text_as_a_pattern_or_a_schema_ends(text in "[-()\\[\\]{}?*+|^$.\\\\a-d0-9<>=!:,pukxPLGd]{0,30}", value in "\\PC{0,20}") {
        if let Ok(pattern) = pattern(&text) {
            let matched = pattern.is_match(&value, &mut Work::new(10_000_000));
            prop_assert!(matched.is_ok());
        }
    }
}
