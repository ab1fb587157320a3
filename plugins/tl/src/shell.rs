//! The commands in a line of shell, as far as words, quotes and separators reveal them.
//!
//! Enough to notice what someone wrote; no defence against someone who hides it
//! (`$(echo r)m`), which takes other measures.
//!
//! `plugins/tl-haskell/src/Tl/Shell.hs` parses a line in the same way.

use std::mem::take;

/// The depth to which nested scripts are parsed: `sh -c 'sh -c …'`.
const DEPTH: u32 = 8;

/// Programs that run the command after them, with their short options that
/// take a value, and the number of their own operands that come first.
const RUNNERS: &[(&str, &str, usize)] = &[
    ("builtin", "", 0),
    ("busybox", "", 0),
    ("command", "", 0),
    ("doas", "Cu", 0),
    ("env", "Cu", 0),
    ("eval", "", 0),
    ("exec", "a", 0),
    ("ionice", "cnp", 0),
    ("nice", "n", 0),
    ("nohup", "", 0),
    ("setsid", "", 0),
    ("stdbuf", "eio", 0),
    ("sudo", "CDRTUghprtu", 0),
    ("time", "fo", 0),
    ("timeout", "ks", 1),
    ("xargs", "EILPadns", 0),
];

/// Long options of these programs that take a value.
const LONG_WITH_VALUE: &[&str] = &[
    "--adjustment",
    "--arg-file",
    "--chdir",
    "--chroot",
    "--class",
    "--classdata",
    "--close-from",
    "--command-timeout",
    "--delimiter",
    "--error",
    "--format",
    "--group",
    "--host",
    "--input",
    "--kill-after",
    "--max-args",
    "--max-chars",
    "--max-procs",
    "--other-user",
    "--output",
    "--pid",
    "--process-slot-var",
    "--prompt",
    "--role",
    "--signal",
    "--type",
    "--unset",
    "--user",
];

/// Stands in a word where the shell fills something in: `$X`, `$(…)`.
pub const UNKNOWN: char = '$';

/// Keywords of the shell that a command may follow.
const KEYWORDS: &[&str] = &[
    "!", "coproc", "do", "elif", "else", "if", "then", "until", "while", "{",
];

const SHELLS: &[&str] = &["ash", "bash", "dash", "ksh", "sh", "su", "zsh"];

/// Visits the commands of a line, each as its words, including those in `sh -c '…'` and
/// in substitutions. One at a time, since a long line has many.
pub fn each_command(line: &str, visit: &mut dyn FnMut(&[String])) {
    each_within(line, DEPTH, visit);
}

fn each_within(line: &str, depth: u32, visit: &mut dyn FnMut(&[String])) {
    split(line, &mut |words| {
        let (command, is_evaluated) = without_prefix(words);
        let script = if is_evaluated {
            Some(command.join(" "))
        } else {
            script_of(command).map(str::to_owned)
        };
        if let (Some(script), 1..) = (script, depth) {
            each_within(&script, depth - 1, visit);
        }
        if !command.is_empty() {
            visit(command);
        }
    });
}

/// An incomplete command: its words, and the letters of the last one.
#[derive(Default)]
struct Command {
    words: Vec<String>,
    word: Option<String>,
}

impl Command {
    fn letters(&mut self) -> &mut String {
        self.word.get_or_insert_default()
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end(&mut self, visit: &mut dyn FnMut(&[String])) {
        self.end_word();
        visit(&take(self).words);
    }
}

/// An open parenthesis or substitution.
struct Open {
    closing: char,
    /// The quote around it.
    quote: Option<char>,
    /// The command that a substitution is part of.
    before: Command,
}

/// Splits a line into commands, and each command into words.
fn split(line: &str, visit: &mut dyn FnMut(&[String])) {
    let mut command = Command::default();
    let mut quote = None;
    let mut opened: Vec<Open> = Vec::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        let innermost = opened.last().map(|open| open.closing);
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('\''), _) => command.letters().push(letter),
            // A backslash at the end of a line joins it with the next.
            (_, '\\') => {
                if let Some(next) = letters.next().filter(|next| *next != '\n') {
                    command.letters().push(next);
                }
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                command.letters();
            }
            (None, ')') | (_, '`') if innermost == Some(letter) => {
                command.end(visit);
                if let Some(open) = opened.pop() {
                    (command, quote) = (open.before, open.quote);
                }
            }
            // A substitution also runs within double quotes, and its command continues after it.
            (_, '`') => {
                command.letters().push(UNKNOWN);
                opened.push(Open {
                    closing: '`',
                    quote: quote.take(),
                    before: take(&mut command),
                });
            }
            (_, '$') | (None, '<' | '>') if letters.peek() == Some(&'(') => {
                letters.next();
                if letter == '$' {
                    command.letters().push(UNKNOWN);
                }
                opened.push(Open {
                    closing: ')',
                    quote: quote.take(),
                    before: take(&mut command),
                });
            }
            (None, '(') => {
                command.end(visit);
                opened.push(Open {
                    closing: ')',
                    quote: None,
                    before: Command::default(),
                });
            }
            (None, ';' | '&' | '|' | '\n' | ')') => command.end(visit),
            (None, ' ' | '\t') => command.end_word(),
            // A comment, up to the end of the line.
            (None, '#') if command.word.is_none() => {
                while letters.next_if(|next| *next != '\n').is_some() {}
            }
            _ => command.letters().push(letter),
        }
    }
    command.end(visit);
    for open in opened.iter_mut().rev() {
        open.before.end(visit);
    }
}

/// The command without prefixes that only change how it runs, as in `FOO=1 sudo -u root git …`,
/// and true if its words are a script, as in `eval git …`.
fn without_prefix(words: &[String]) -> (&[String], bool) {
    let mut rest = words;
    let mut is_evaluated = false;
    while let Some((word, after)) = rest.split_first() {
        let name = file_name(word);
        let is_assignment = word.contains('=') && !word.starts_with('-');
        // A substitution by itself may leave no word.
        let is_unknown = !word.is_empty() && word.chars().all(|letter| letter == UNKNOWN);
        if KEYWORDS.contains(&word.as_str()) || is_assignment || is_unknown {
            rest = after;
        } else if let Some((_, with_value, operands)) = RUNNERS.iter().find(|one| one.0 == name) {
            is_evaluated |= name == "eval";
            rest = without_options(after, with_value);
            rest = &rest[(*operands).min(rest.len())..];
        } else {
            break;
        }
    }
    (rest, is_evaluated)
}

/// The words after the leading options.
fn without_options<'a>(words: &'a [String], with_value: &str) -> &'a [String] {
    let mut rest = words;
    while let Some((option, after)) = rest.split_first() {
        let Some(flags) = option.strip_prefix('-') else {
            break;
        };
        let takes_next = match flags.strip_prefix('-') {
            Some("") => return after,
            Some(_) => LONG_WITH_VALUE.contains(&option.as_str()),
            // In `-uroot` the value is there; in `-nu root` it is the next word.
            None => {
                flags.find(|flag| with_value.contains(flag)) == Some(flags.len().saturating_sub(1))
            }
        };
        rest = &after[usize::from(takes_next && !after.is_empty())..];
    }
    rest
}

/// The program of a command, without its folder.
pub fn program(command: &[String]) -> &str {
    command.first().map_or("", |word| file_name(word))
}

fn file_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The script in `sh -c SCRIPT`.
fn script_of(command: &[String]) -> Option<&str> {
    if !SHELLS.contains(&program(command)) {
        return None;
    }
    let flag = command.iter().position(|word| has_flag(word, 'c'))?;
    let mut after = command[flag + 1..].iter();
    after
        .find(|word| !word.starts_with('-'))
        .map(String::as_str)
}

/// True if a word is a group of short flags that includes this one.
pub fn has_flag(word: &str, flag: char) -> bool {
    word.strip_prefix('-')
        .is_some_and(|flags| !flags.starts_with('-') && flags.contains(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_command(line, &mut |command| found.push(command.join("·")));
        found
    }

    #[test]
    fn a_line_is_split_at_separators_but_not_within_quotes() {
        assert_eq!(words("a 'b;c' && d|e"), ["a·b;c", "d", "e"]);
        assert_eq!(words(r#"a "b && c" \; d"#), ["a·b && c·;·d"]);
        assert_eq!(words("a ''"), ["a·"]);
        assert_eq!(words("a \\\n b"), ["a·b"]);
        assert_eq!(words("a # it's b\nc#d"), ["a", "c#d"]);
        assert_eq!(words("a\u{a0}b HEAD@{1}"), ["a\u{a0}b·HEAD@{1}"]);
    }

    #[test]
    fn prefixes_and_folders_do_not_hide_a_command() {
        for line in [
            "FOO=1 sudo -n rm x",
            "/usr/bin/sudo -nu root -- rm x",
            "sudo -uroot rm x",
            "env -u A B=1 rm x",
            "timeout -s KILL --kill-after 3 5 nice -n 5 rm x",
            "nice --adjustment=5 rm x",
            "if ! time -p rm x",
            "{ rm x",
        ] {
            assert_eq!(words(line), ["rm·x"], "{line}");
        }
        for line in ["env $(a) rm x", "$(a) rm x"] {
            assert_eq!(words(line), ["a", "rm·x"], "{line}");
        }
        assert_eq!(words("timeout 5"), Vec::<String>::new());
        assert_eq!(words("sudo -u"), Vec::<String>::new());
        assert_eq!(program(&["/bin/rm".to_owned()]), "rm");
    }

    #[test]
    fn a_script_within_a_command_is_found_too() {
        assert_eq!(
            words("bash -lc 'cd x; rm y'"),
            ["cd·x", "rm·y", "bash·-lc·cd x; rm y"]
        );
        assert_eq!(words("eval a 'b;c'"), ["a·b", "c", "a·b;c"]);
    }

    #[test]
    fn a_command_continues_after_a_substitution() {
        assert_eq!(words("echo $(rm x) y"), ["rm·x", "echo·$·y"]);
        assert_eq!(words("echo `rm x` y"), ["rm·x", "echo·$·y"]);
        assert_eq!(words("diff <(a) <(b) c"), ["a", "b", "diff·c"]);
        assert_eq!(words(r#"echo "a $(rm x) b" c"#), ["rm·x", "echo·a $ b·c"]);
        assert_eq!(words(r#"echo "a `rm x` b" c"#), ["rm·x", "echo·a $ b·c"]);
        assert_eq!(words(r#"echo "$(a "$(rm x)")""#), ["rm·x", "a·$", "echo·$"]);
        assert_eq!(words("(cd x) && f() { rm y; }"), ["cd·x", "f", "rm·y", "}"]);
        assert_eq!(words("echo '$(rm x)'"), ["echo·$(rm x)"]);
    }

    #[test]
    fn an_incomplete_line_is_parsed_as_far_as_it_goes() {
        assert_eq!(words("a 'b c"), ["a·b c"]);
        assert_eq!(words("a $(b `c"), ["c", "b·$", "a·$"]);
        assert_eq!(words(""), Vec::<String>::new());
        assert_eq!(words("\\"), Vec::<String>::new());
    }
}
