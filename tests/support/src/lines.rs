//! A process that is talked to in lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use serde_json::Value;

use crate::eventually;
use crate::process::{self, ChildGuard};

/// A process whose input and output are lines of JSON. It ends when it is dropped.
pub struct LineProcess {
    child: ChildGuard,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl LineProcess {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = ChildGuard::spawn(command);
        Self {
            input: child.stdin.take(),
            lines: lines(child.stdout.take()),
            errors: lines(child.stderr.take()),
            child,
        }
    }

    /// Sends a line.
    ///
    /// # Panics
    /// If nobody reads it.
    pub fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}")
            .and_then(|()| input.flush())
            .expect("somebody reads");
    }

    /// Closes its input.
    pub fn close(&mut self) {
        self.input = None;
    }

    /// The next line, which has to be JSON; `None` at the end of the output.
    ///
    /// # Panics
    /// If none comes, or if it is something else.
    pub async fn next(&mut self) -> Option<Value> {
        let next = eventually("a line comes", async || match self.lines.try_recv() {
            Ok(line) => Some(Some(line)),
            Err(TryRecvError::Disconnected) => Some(None),
            Err(TryRecvError::Empty) => None,
        });
        let line = next.await?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next line.
    ///
    /// # Panics
    /// If there is none; with what it says on standard error.
    pub async fn line(&mut self) -> Value {
        match self.next().await {
            Some(line) => line,
            None => {
                let code = self.end().await;
                panic!("it has ended with {code:?}: {}", self.errors());
            }
        }
    }

    /// Its standard error so far.
    pub fn errors(&self) -> String {
        self.errors.try_iter().map(|line| line + "\n").collect()
    }

    /// Waits for its end, and gives the exit code.
    pub async fn end(&mut self) -> Option<i32> {
        self.close();
        let child = &mut self.child;
        eventually("the process ends", async || process::exit_code(child)).await
    }
}

fn lines(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        let output = output
            .into_iter()
            .flat_map(|output| BufReader::new(output).lines());
        for line in output.map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
