//! [`DiagnosticSink`]: the mistakes found so far, and where each value comes from.

use std::collections::BTreeMap;
use std::path::Path;

use super::Loaded;
use super::document::Origin;
use super::sources::{Source, Sources};
use crate::diagnostic::{Code, ConfigErrors, Diagnostic, Place, Severity, SourceText};
use crate::key::KeyPath;
use crate::model::Config;
use exomonad_core::RoleKeys;
use exomonad_core::values::RoleName;

/// How many errors, and how many warnings, are kept. A file with more is not a configuration with mistakes in it.
const MOST: usize = 1000;

/// Collects diagnostics, each with its place, and the origins of all values.
pub(super) struct DiagnosticSink<'a> {
    source: SourceText<'a>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    origins: BTreeMap<KeyPath, Origin>,
    failed: Vec<KeyPath>,
}

impl<'a> DiagnosticSink<'a> {
    pub fn new(source: SourceText<'a>) -> Self {
        Self {
            source,
            errors: Vec::new(),
            warnings: Vec::new(),
            origins: BTreeMap::new(),
            failed: Vec::new(),
        }
    }

    /// The text of the file.
    pub fn source(&self) -> &SourceText<'a> {
        &self.source
    }

    /// Notes where the value of a key was written.
    pub fn note_origin(&mut self, key: KeyPath, origin: Origin) {
        self.origins.insert(key, origin);
    }

    /// True if the key was written, rightly or wrongly, in the file or the environment.
    pub fn is_written(&self, key: &KeyPath) -> bool {
        self.origins.contains_key(key)
    }

    /// The keys of these roles, by where their values are written.
    pub fn role_keys<'n>(
        &self,
        roles: impl Iterator<Item = &'n RoleName>,
    ) -> BTreeMap<RoleName, RoleKeys> {
        let defaults = KeyPath::of(["defaults"]);
        let set: Vec<String> = self
            .origins
            .keys()
            .filter(|key| **key != defaults)
            .filter_map(|key| key.to_string().strip_prefix("defaults.").map(str::to_owned))
            .collect();
        let keys = |role: &RoleName| {
            let own = KeyPath::of(["role", role.as_str()]);
            let inherited = set.iter().filter(|field| {
                let key = field
                    .split('.')
                    .fold(own.clone(), |key, name| key.key(name));
                !self.is_written(&key)
            });
            RoleKeys::inheriting(inherited.cloned())
        };
        roles.map(|role| (role.clone(), keys(role))).collect()
    }

    /// True if an error about this key, or something in it, has been reported. What is then in its
    /// place is a default that nobody chose.
    pub fn has_failed(&self, key: &KeyPath) -> bool {
        self.failed.iter().any(|failed| failed.is_in(key))
    }

    /// Reports an error about the key, at the place given.
    pub fn error_at(
        &mut self,
        origin: &Origin,
        key: KeyPath,
        code: Code,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        if self.errors.len() >= MOST {
            return;
        }
        let mut place = self.place(origin);
        if let Place::File(place) = &mut place {
            // A secret that someone wrote into the file must not go on into a log.
            let is_secret = |name: &str| {
                ["token", "secret", "password", "key"]
                    .iter()
                    .any(|word| name.contains(word))
            };
            match (code, key.name()) {
                (Code::UnknownKey, Some(name)) if is_secret(name) => place.excerpt.hide_rest(),
                (_, Some("token_env")) => place.excerpt.hide(),
                _ => {}
            }
        }
        self.push(Severity::Error, place, key, code, message.into(), help);
    }

    /// Reports an error about the key, at the place where it or what it is in was written.
    pub fn error(
        &mut self,
        key: KeyPath,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.errors.len() < MOST {
            let place = self.place_of(&key);
            let help = Some(help.into());
            self.push(Severity::Error, place, key, code, message.into(), help);
        }
    }

    /// Reports a warning about the key, at the place where it or what it is in was written.
    pub fn warn(
        &mut self,
        key: KeyPath,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.warnings.len() < MOST {
            let place = self.place_of(&key);
            let help = Some(help.into());
            self.push(Severity::Warning, place, key, code, message.into(), help);
        }
    }

    /// The result: the configuration if there are no errors.
    pub fn conclude(self, config: Config, path: Option<&Path>) -> Result<Loaded, ConfigErrors> {
        if !self.errors.is_empty() {
            return Err(in_order(self.errors));
        }
        let written = self.origins.into_iter().map(|(key, origin)| {
            let source = match origin {
                Origin::File(range) => Source::File {
                    line: self.source.line_of(range.start),
                },
                Origin::Variable(name) => Source::Variable(name),
            };
            (key, source)
        });
        Ok(Loaded {
            config,
            path: path.map(Path::to_owned),
            sources: Sources::new(self.source.path.to_owned(), written.collect()),
            warnings: in_order(self.warnings).diagnostics,
        })
    }

    /// The errors so far, and one more.
    pub fn fail_with(mut self, last: Diagnostic) -> ConfigErrors {
        self.errors.push(last);
        in_order(self.errors)
    }

    fn push(
        &mut self,
        severity: Severity,
        place: Place,
        key: KeyPath,
        code: Code,
        message: String,
        help: Option<String>,
    ) {
        let diagnostic = Diagnostic {
            severity,
            code,
            message,
            help,
            key: Some(key.to_string()).filter(|name| !name.is_empty()),
            place,
        };
        match severity {
            Severity::Warning => self.warnings.push(diagnostic),
            Severity::Error => {
                self.errors.push(diagnostic);
                self.failed.push(key);
            }
        }
    }

    fn place(&self, origin: &Origin) -> Place {
        match origin {
            Origin::File(range) => Place::File(self.source.place(range)),
            Origin::Variable(variable) => Place::Variable { variable },
        }
    }

    fn place_of(&self, key: &KeyPath) -> Place {
        let enclosing = std::iter::successors(Some(key.clone()), KeyPath::parent);
        enclosing
            .filter_map(|key| self.origins.get(&key))
            .map(|origin| self.place(origin))
            .next()
            .unwrap_or(Place::Nowhere {})
    }
}

/// In the order of the file, then what stands outside of it.
fn in_order(mut diagnostics: Vec<Diagnostic>) -> ConfigErrors {
    diagnostics.sort_by_key(|diagnostic| match &diagnostic.place {
        Place::File(place) => (0, place.line, place.column),
        Place::Variable { .. } => (1, 0, 0),
        Place::Nowhere {} => (2, 0, 0),
    });
    ConfigErrors { diagnostics }
}
