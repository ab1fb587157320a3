//! Writes every file that is generated from the contract, or checks that the
//! existing files are up to date.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use exomonad_schema::generate::{Output, outputs};

const USAGE: &str = "usage: gen-types [--check]

Writes the files generated from schema/src/table.rs. With --check, writes nothing
and exits 1 if a file is out of date.";

const COMMAND: &str = "just gen-types";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let check = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [] => false,
        ["--check"] => true,
        ["--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outputs = match outputs() {
        Ok(outputs) => outputs,
        Err(error) => {
            eprintln!("gen-types: {error}");
            return ExitCode::FAILURE;
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if check {
        report_drift(&root, &outputs)
    } else {
        write(&root, &outputs)
    }
}

fn report_drift(root: &Path, outputs: &[Output]) -> ExitCode {
    let drifted: Vec<_> = outputs
        .iter()
        .filter(|output| {
            fs::read_to_string(root.join(&output.path)).ok().as_deref() != Some(&output.text)
        })
        .collect();
    for output in &drifted {
        eprintln!("{} is out of date", output.path);
    }
    if drifted.is_empty() {
        println!("{} generated files are up to date", outputs.len());
        ExitCode::SUCCESS
    } else {
        eprintln!("run `{COMMAND}` and check the result in");
        ExitCode::FAILURE
    }
}

fn write(root: &Path, outputs: &[Output]) -> ExitCode {
    for output in outputs {
        match write_if_changed(&root.join(&output.path), &output.text) {
            Ok(true) => println!("wrote {}", output.path),
            Ok(false) => {}
            Err(error) => {
                eprintln!("gen-types: cannot write {}: {error}", output.path);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Leaves an unchanged file untouched, so that nothing is rebuilt because of it.
fn write_if_changed(path: &Path, text: &str) -> io::Result<bool> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    Ok(true)
}
