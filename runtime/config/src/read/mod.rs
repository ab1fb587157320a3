//! From text to the effective [`Config`], with every mistake found on the way.
//!
//! 1. [`document`] turns TOML into a tree with positions and goes on after syntax errors.
//! 2. [`check`] compares the tree with the schema. What is wrong is reported and left out, so that
//!    the rest can still be checked.
//! 3. [`environment`] lays the `EXOMONAD_*` variables over the file, checked the same way.
//! 4. [`merge`] lays both over the defaults, gives each role its share and makes paths absolute.
//! 5. [`rules`] and [`machine_checks`] check what concerns several keys, files and tokens.

mod check;
mod diagnostic_sink;
mod document;
mod environment;
mod file;
mod machine_checks;
mod merge;
mod other_tools;
mod rules;
mod sources;
#[cfg(test)]
pub(crate) mod tests;

pub use environment::{VARIABLES, Variable};
pub use other_tools::DockerEnvironment;
pub use sources::{Source, Sources};

use std::path::{Path, PathBuf};

use crate::diagnostic::{Code, ConfigErrors, Diagnostic, Place, Severity, SourceText};
use crate::model::Config;
use diagnostic_sink::DiagnosticSink;

/// A configuration that can be used, and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration in force.
    pub config: Config,
    /// The file it was read from; `None` if there is none and the defaults hold.
    pub path: Option<PathBuf>,
    /// Where each value that is not a default comes from.
    pub sources: Sources,
    /// Warnings: what is allowed but likely not meant.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// Loads the configuration: from `path` if given (`--config`), else from the file that
    /// `EXOMONAD_CONFIG` names, else from `exomonad.toml` in the current directory if it is there,
    /// else from the defaults; then the `EXOMONAD_*` variables of [`VARIABLES`] override it.
    ///
    /// Relative paths, defaults included, are taken from the file's folder; without a file, and in
    /// variables, from the current directory. `~/` is the home directory.
    ///
    /// A file that no one has named may not set every key by itself: see [`crate::trust`].
    ///
    /// `known_effects` are the capabilities of every effect there is (`git.status`), to report a
    /// pattern that matches none; if empty, patterns are not compared.
    ///
    /// # Errors
    /// Every mistake there is, not only the first.
    pub fn load(
        path: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
        known_effects: &[&str],
    ) -> Result<Loaded, ConfigErrors> {
        Self::load_in(&current_dir()?, path, env, known_effects)
    }

    /// As [`load`](Self::load), but reads no token and looks at no folder: for commands that perform nothing
    /// themselves, which the secrets of a host need not be there for.
    ///
    /// # Errors
    /// Every mistake that the text has.
    pub fn load_text_alone(
        path: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
        known_effects: &[&str],
    ) -> Result<Loaded, ConfigErrors> {
        let context = LoadContext {
            cwd: &current_dir()?,
            env: &env,
            known_effects,
            checks_machine: false,
        };
        Self::load_with(&context, path)
    }

    /// As [`load`](Self::load), with the current directory given.
    pub(crate) fn load_in(
        cwd: &Path,
        path: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
        known_effects: &[&str],
    ) -> Result<Loaded, ConfigErrors> {
        let context = LoadContext {
            cwd,
            env: &env,
            known_effects,
            checks_machine: true,
        };
        Self::load_with(&context, path)
    }

    fn load_with(context: &LoadContext<'_>, path: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        let LoadContext { cwd, env, .. } = *context;
        let found = file::find(path, context)?;
        let is_named = path.is_some() || file::named(context).is_some();
        let (path, text) = found.map_or((None, String::new()), |(path, text)| (Some(path), text));
        // Paths are made absolute as text, since that is what JSON and TOML can hold.
        if [Some(cwd), path.as_deref()]
            .into_iter()
            .flatten()
            .any(|path| path.to_str().is_none())
        {
            let message =
                "the path of the current directory or of the file is not UTF-8".to_owned();
            return Err(file::problem(
                message,
                Some("run exomonad elsewhere"),
                Place::Nowhere {},
            ));
        }
        let loaded = load_text(&text, path.as_deref(), context)?;
        if !is_named {
            crate::trust::check(&loaded, &text, cwd, &env)?;
        }
        Ok(loaded)
    }
}

fn current_dir() -> Result<PathBuf, ConfigErrors> {
    std::env::current_dir().map_err(|error| {
        let message = format!("the current directory can't be determined: {error}");
        file::problem(message, None, Place::Nowhere {})
    })
}

/// The context that a configuration is loaded in.
#[derive(Clone, Copy)]
pub(crate) struct LoadContext<'a> {
    /// The current directory.
    pub cwd: &'a Path,
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Every effect's capability.
    pub known_effects: &'a [&'a str],
    /// True if tokens are read, and folders looked at.
    pub checks_machine: bool,
}

/// Loads from a file's text; `path` is where the text stands, `None` for the defaults.
pub(crate) fn load_text(
    text: &str,
    path: Option<&Path>,
    context: &LoadContext<'_>,
) -> Result<Loaded, ConfigErrors> {
    let source = SourceText::new(path.unwrap_or(Path::new(file::DEFAULT_NAME)), text);
    let mut sink = DiagnosticSink::new(source);

    let document = document::parse(text, &mut sink);
    let from_file = check::check_document(&document, &mut sink);
    let from_environment = environment::read(context, &mut sink);

    let merged = merge::merge(from_file, from_environment, path, context);
    match serde_json::from_value::<Config>(merged) {
        Ok(mut config) => {
            config.file = path.unwrap_or(Path::new(file::DEFAULT_NAME)).to_owned();
            config.role_keys = sink.role_keys(config.roles.keys());
            rules::check(&config, context.known_effects, &mut sink);
            if context.checks_machine {
                machine_checks::check(&config, context, &mut sink);
            }
            other_tools::check(&config, context, &mut sink);
            sink.conclude(config, path)
        }
        // The schema says it fits and the type says it does not: report it rather than trust either.
        Err(error) => Err(sink.fail_with(Diagnostic {
            severity: Severity::Error,
            code: Code::WrongType,
            message: format!("the configuration as a whole does not fit: {error}"),
            help: None,
            key: None,
            place: Place::Nowhere {},
        })),
    }
}
