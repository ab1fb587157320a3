//! Commands in a line of shell, as far as words, quotes and separators tell.
//!
//! Enough to notice what someone wrote; no defence against someone who hides it
//! (`$(echo r)m`): what must not happen has to be made impossible elsewhere.

/// The commands of a line, each as its words; those in `sh -c '…'` included.
pub fn commands(line: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for command in split(line) {
        let command = without_prefix(&command);
        if let Some(script) = script_of(command) {
            found.extend(commands(script));
        }
        if !command.is_empty() {
            found.push(command.to_vec());
        }
    }
    found
}

/// Splits a line at what ends a command, and each command into words.
fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    // What each open parenthesis goes back to.
    let mut around = Vec::new();
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(letter),
            // A backslash at a line's end joins it with the next.
            (_, '\\') => {
                if let Some(next) = letters.next().filter(|next| *next != '\n') {
                    word.get_or_insert_default().push(next);
                }
            }
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            // A substitution runs even within double quotes.
            (Some(_), '$') if letters.peek() == Some(&'(') => {
                letters.next();
                around.push(quote.take());
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            (None, '(' | ')') => {
                match letter {
                    '(' => around.push(None),
                    _ => quote = around.pop().flatten(),
                }
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            (_, '`') | (None, ';' | '&' | '|' | '\n' | '{' | '}') => {
                end_word(&mut commands, &mut word);
                commands.push(Vec::new());
            }
            (None, _) if letter.is_whitespace() => end_word(&mut commands, &mut word),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    end_word(&mut commands, &mut word);
    commands
}

fn end_word(commands: &mut [Vec<String>], word: &mut Option<String>) {
    if let (Some(command), Some(word)) = (commands.last_mut(), word.take()) {
        command.push(word);
    }
}

/// The command without what only changes how it runs: `FOO=1 sudo git …`.
fn without_prefix(words: &[String]) -> &[String] {
    let prefixes = [
        "sudo", "doas", "env", "command", "exec", "nohup", "time", "xargs", "then", "do", "else",
        "!",
    ];
    let is_prefix = |word: &String| {
        prefixes.contains(&word.as_str()) || (word.contains('=') && !word.starts_with('-'))
    };
    let start = words
        .iter()
        .position(|word| !is_prefix(word))
        .unwrap_or(words.len());
    // The options of such a prefix, as in `sudo -n rm`.
    let options = if start == 0 {
        0
    } else {
        words[start..]
            .iter()
            .take_while(|word| word.starts_with('-'))
            .count()
    };
    &words[start + options..]
}

/// The program of a command, without its folder.
pub fn program(command: &[String]) -> &str {
    command
        .first()
        .map_or("", |word| word.rsplit('/').next().unwrap_or(word))
}

/// The script in `sh -c SCRIPT`.
fn script_of(command: &[String]) -> Option<&str> {
    if !matches!(
        program(command),
        "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh"
    ) {
        return None;
    }
    let flag = command
        .iter()
        .position(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))?;
    command.get(flag + 1).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        commands(line)
            .iter()
            .map(|command| command.join("·"))
            .collect()
    }

    #[test]
    fn a_line_is_split_at_separators_but_not_within_quotes() {
        assert_eq!(words("a 'b;c' && d|e"), ["a·b;c", "d", "e"]);
        assert_eq!(words(r#"a "b && c" \; d"#), ["a·b && c·;·d"]);
        assert_eq!(words("a ''"), ["a·"]);
        assert_eq!(words("a \\\n b"), ["a·b"]);
    }

    #[test]
    fn prefixes_and_folders_do_not_hide_a_command() {
        assert_eq!(words("FOO=1 sudo -n rm -rf x"), ["rm·-rf·x"]);
        let command = commands("/bin/rm x");
        assert_eq!(program(&command[0]), "rm");
    }

    #[test]
    fn a_script_within_a_command_is_found_too() {
        assert_eq!(
            words("bash -lc 'cd x; rm y'"),
            ["cd·x", "rm·y", "bash·-lc·cd x; rm y"]
        );
        assert_eq!(words("echo $(rm x)"), ["echo·$", "rm·x"]);
        assert_eq!(words("echo `rm x`"), ["echo", "rm·x"]);
        assert_eq!(
            words(r#"echo "a $(rm x) b" c"#),
            ["echo·a ", "rm·x", " b·c"]
        );
        assert_eq!(words(r#"echo "$(a "$(rm x)")""#), ["echo·", "a·", "rm·x"]);
        assert_eq!(words("echo '$(rm x)'"), ["echo·$(rm x)"]);
    }

    #[test]
    fn an_unfinished_line_is_read_as_far_as_it_goes() {
        assert_eq!(words("a 'b c"), ["a·b c"]);
        assert_eq!(words(""), Vec::<String>::new());
        assert_eq!(words("\\"), Vec::<String>::new());
    }
}
