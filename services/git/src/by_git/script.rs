//! Several `git` commands as one script for `sh`, and their outputs.
//!
//! An exec costs some 60 ms, a `git` 2, so related commands share one. The text
//! holds only words of ours and quoted ones of the guest's. After each step both
//! outputs get a line with a random word that nobody in the container could know
//! before, which separates the outputs of the steps. A process in the container may
//! read it and forge an answer, as may a replaced `git`: a container can lie about
//! itself, and about nothing else.

use std::fmt::Write as _;

use exomonad_schema::EffectError;

use super::git_settings;

/// Exit code: the folder is not there.
pub(super) const NO_FOLDER: i32 = 121;
/// Exit code: the folder is a file.
pub(super) const NOT_A_FOLDER: i32 = 122;
/// Exit code: there is no `git`.
pub(super) const NO_GIT: i32 = 120;

/// A script that is being built.
#[derive(Debug)]
pub(super) struct Script {
    text: String,
    word: String,
    steps: usize,
    /// The input of the one step that reads any.
    pub(super) stdin: Option<Vec<u8>>,
    /// Bytes that all steps together may write.
    pub(super) max_output: u64,
}

/// A step's index in its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step(usize);

/// The output of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StepOutput {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// The outputs of all steps.
#[derive(Debug)]
pub(super) struct StepOutputs(Vec<StepOutput>);

impl std::ops::Index<Step> for StepOutputs {
    type Output = StepOutput;

    fn index(&self, step: Step) -> &StepOutput {
        &self.0[step.0]
    }
}

impl Script {
    /// A script that works in `folder`, an absolute path.
    pub(super) fn new(
        folder: &str,
        settings: &git_settings::GitSettings,
    ) -> Result<Self, EffectError> {
        let word = format!("{:016x}{:016x}", random()?, random()?);
        let mut text = format!(
            "command -v {program} >/dev/null 2>&1 || exit {NO_GIT}\n\
             {{ cd -P {folder} && [ -r . ]; }} 2>/dev/null || \
             {{ [ -e {folder} ] && [ ! -d {folder} ] && exit {NOT_A_FOLDER}; exit {NO_FOLDER}; }}\n\
             LC_ALL=C; export LC_ALL\n\
             w={word}\n\
             e() {{ printf '\\n%s\\n' \"$w\"; printf '\\n%s %s\\n' \"$w\" \"$1\" >&2; }}\n",
            program = quoted(settings.program()),
            folder = quoted(folder),
        );
        settings.define_git(&mut text);
        Ok(Self {
            text,
            word,
            steps: 0,
            stdin: None,
            max_output: super::MAX_OUTPUT,
        })
    }

    /// Runs `git` with these arguments.
    pub(super) fn git<S: AsRef<str>>(&mut self, arguments: impl IntoIterator<Item = S>) -> Step {
        let command = git(arguments);
        self.shell(&command)
    }

    /// Runs `git` and takes the first `max_bytes` of its output.
    pub(super) fn git_up_to<S: AsRef<str>>(
        &mut self,
        max_bytes: u64,
        arguments: impl IntoIterator<Item = S>,
    ) -> Step {
        self.shell_up_to(max_bytes, &git(arguments))
    }

    /// As [`Self::shell`], of whose output the first `max_bytes` are taken.
    pub(super) fn shell_up_to(&mut self, max_bytes: u64, text: &str) -> Step {
        let _ = writeln!(
            self.text,
            "{{ ( {text}\n) </dev/null; printf '\\n%s %s\\n' \"$w\" \"$?\" >&2; }} | head -c {max_bytes}\n\
             printf '\\n%s\\n' \"$w\"",
        );
        self.next()
    }

    /// Runs a piece of shell, in which `g` is `git`. The guest's words in it have
    /// to be [`quoted`].
    pub(super) fn shell(&mut self, text: &str) -> Step {
        let _ = writeln!(self.text, "( {text}\n) </dev/null; e $?");
        self.next()
    }

    /// As [`Self::shell`], for the one step that reads the script's input.
    pub(super) fn shell_with_input(&mut self, text: &str, stdin: Vec<u8>) -> Step {
        let _ = writeln!(self.text, "( {text}\n); e $?");
        self.stdin = Some(stdin);
        self.next()
    }

    /// A line of shell between steps, without output.
    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    /// The text for the shell.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn next(&mut self) -> Step {
        self.steps += 1;
        Step(self.steps - 1)
    }

    /// Splits the outputs by steps; `None` when they are not those of this script.
    pub(super) fn read(&self, stdout: &[u8], stderr: &[u8]) -> Option<StepOutputs> {
        let mut outputs = Vec::with_capacity(self.steps);
        let end_of_stdout = format!("\n{}\n", self.word);
        let end_of_stderr = format!("\n{} ", self.word);
        let (mut stdout, mut stderr) = (stdout, stderr);
        for _ in 0..self.steps {
            let (out, rest) = split(stdout, end_of_stdout.as_bytes())?;
            stdout = rest;
            let (err, rest) = split(stderr, end_of_stderr.as_bytes())?;
            let (code, rest) = split(rest, b"\n")?;
            stderr = rest;
            outputs.push(StepOutput {
                code: std::str::from_utf8(code).ok()?.parse().ok()?,
                stdout: out.to_vec(),
                stderr: String::from_utf8_lossy(err).into_owned(),
            });
        }
        stdout.is_empty().then_some(StepOutputs(outputs))
    }
}

impl StepOutput {
    pub(super) fn is_success(&self) -> bool {
        self.code == 0
    }

    /// The output as text, without the line's end.
    pub(super) fn line(&self) -> String {
        String::from_utf8_lossy(self.stdout.trim_ascii_end()).into_owned()
    }

    /// The output, split at NULs; one at its end ends the last record.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let records = self.stdout.strip_suffix(b"\0").unwrap_or(&self.stdout);
        records
            .split(|byte| *byte == 0)
            .take(if records.is_empty() { 0 } else { usize::MAX })
    }
}

fn split<'b>(bytes: &'b [u8], end: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = bytes.windows(end.len()).position(|window| window == end)?;
    Some((&bytes[..at], &bytes[at + end.len()..]))
}

fn random() -> Result<u64, EffectError> {
    getrandom::u64().map_err(|error| {
        EffectError::internal(format!("the operating system gives no randomness: {error}"))
    })
}

/// A `git` command for the shell.
pub(super) fn git<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> String {
    let mut command = "g".to_owned();
    for argument in arguments {
        command.push(' ');
        command.push_str(&quoted(argument.as_ref()));
    }
    command
}

/// Quotes a word for the shell.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(steps: usize) -> Script {
        Script {
            text: String::new(),
            word: "w0rd".to_owned(),
            steps,
            stdin: None,
            max_output: 0,
        }
    }

    #[test]
    fn the_shell_takes_a_quoted_word_literally() {
        for word in ["a b", "it's", "$(id)", "`id`", "a\nb", "\\", "", "-x", "*"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn outputs_are_split_by_steps_and_anything_else_is_refused() {
        let script = script(2);
        let outputs = script
            .read(b"one\n\nw0rd\n\nw0rd\n", b"\nw0rd 0\noh\n\nw0rd 128\n")
            .unwrap();
        assert_eq!(outputs[Step(0)].stdout, b"one\n");
        assert_eq!(outputs[Step(1)].code, 128);
        assert_eq!(outputs[Step(1)].stderr, "oh\n");
        for (stdout, stderr) in [
            (&b"one\n\nw0rd\n"[..], &b"\nw0rd 0\n\nw0rd 0\n"[..]),
            (b"\nw0rd\n\nw0rd\n", b"\nw0rd 0\n"),
            (b"\nw0rd\n\nw0rd\n", b"\nw0rd 0\n\nw0rd x\n"),
            (b"\nw0rd\n\nw0rd\nmore", b"\nw0rd 0\n\nw0rd 0\n"),
        ] {
            assert!(script.read(stdout, stderr).is_none());
        }
    }
}
