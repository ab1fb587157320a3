//! No text, however broken, makes loading panic.

use proptest::prelude::*;

use super::load;

/// A file that uses every kind of value.
const VALID: &str = r#"
[server]
listen = "127.0.0.1:7432"
allowed_hosts = ["*.example.com", "[::1]"]
max_body = 1_048_576
request_timeout = "5m"
raw_calls = true
[plugins]
dir = "p"
[engine]
sandboxes = 0x10
[defaults]
config = { "a.b" = "ä", c = '''x''' }
[role.tl]
plugin = "./tl.wasm"
effects = ["log.*", "git.get_*"]
repos = ["acme/*"]
labels = ["team=web"]
limits.memory = "1MiB"
[role.tl.limits.nested]
"#;

/// Cuts, doubles or overwrites a stretch of the text.
fn mutate(text: &mut Vec<char>, (kind, at, length, with): (u8, usize, usize, char)) {
    let at = at % (text.len() + 1);
    let end = (at + length).min(text.len());
    match kind % 3 {
        0 => drop(text.drain(at..end)),
        1 => {
            let copy: Vec<char> = text[at..end].to_vec();
            text.splice(at..at, copy);
        }
        _ => drop(text.splice(at..end, [with])),
    }
}

/// Loads the text and renders what comes of it, which must not panic either.
fn load_and_render(text: &str) {
    if let Err(errors) = load(text, &[]) {
        assert!(!errors.diagnostics.is_empty());
        assert!(!errors.to_string().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_answered(text: String) {
        load_and_render(&text);
    }

    #[test]
    fn any_mixture_of_toml_pieces_is_answered(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "'", "\"", "\"\"\"", "#", " ", "server", "role", "tl",
            "limits", "effects", "listen", "1", "-1", "1e9", "nan", "true", "1979-05-27", "0x", "99999999999999999999", "\u{feff}", "\0",
        ]), 0..40),
    ) {
        load_and_render(&pieces.concat());
    }

    #[test]
    fn a_damaged_file_is_answered(mutations in prop::collection::vec((any::<u8>(), any::<usize>(), 0_usize..20, any::<char>()), 1..6)) {
        let mut text: Vec<char> = VALID.chars().collect();
        for mutation in mutations {
            mutate(&mut text, mutation);
        }
        load_and_render(&text.into_iter().collect::<String>());
    }
}

#[test]
fn deep_nesting_and_endless_rows_of_mistakes_are_answered() {
    load_and_render(&format!("a = {}", "[".repeat(100_000)));
    load_and_render(&format!(
        "a = {}{}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    ));
    load_and_render(&format!("[{}a]", "a.".repeat(10_000)));
    load_and_render(&format!(
        "[role.tl]\neffects = [{}]",
        "'nothing.x', ".repeat(5_000)
    ));
    load_and_render(&"x = = 1\n".repeat(20_000));
    load_and_render(
        &(0..20_000)
            .map(|n| format!("x{n} = 1\n"))
            .collect::<String>(),
    );
    load_and_render(&format!("{} = 1\n", "x".repeat(500_000)));
}
