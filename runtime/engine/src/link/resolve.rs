//! Which thing each import means: another module's, or the host's.

use std::collections::HashMap;

use super::types;
use super::unit::{Kind, Unit};
use super::{HOST_ENV, RESERVED, WASI};
use crate::{LoadError, names::closest};

/// The functions that the host provides, by import module.
pub(crate) trait HostFunctions {
    /// The names of the functions in `module`, none if the host has no such module.
    fn names(&self, module: &str) -> Vec<&str>;
}

/// How often an import may be passed on from module to module.
const LONGEST_CHAIN: usize = 100;
/// Imports that nothing provides are reported together, up to so many.
const MOST_REPORTED: usize = 20;

/// Where an index of a module leads in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A host function: which of the merged module's imports.
    Host(u32),
    /// Defined by a module: its number, and which of its own definitions of that kind.
    Defined { unit: usize, nth: u32 },
}

/// A function that the merged module imports from the host.
pub(super) struct HostImport {
    pub module: String,
    pub name: String,
    /// The module that asks for it, and the type it gives it.
    pub unit: usize,
    pub ty: u32,
}

/// All imports of all modules, resolved.
pub(super) struct Resolver {
    pub host_imports: Vec<HostImport>,
    origins: HashMap<(usize, u32), Origin>,
}

impl Resolver {
    /// Resolves every import; all that nothing provides are reported together.
    pub fn new(units: &[Unit<'_>], host: &dyn HostFunctions) -> Result<Self, LoadError> {
        let by_name: HashMap<&str, usize> = units
            .iter()
            .enumerate()
            .map(|(index, unit)| (unit.name.as_str(), index))
            .collect();
        let mut resolver = Self {
            host_imports: Vec::new(),
            origins: HashMap::new(),
        };
        let mut unknown = Vec::new();
        for unit in 0..units.len() {
            for import in 0..units[unit].imports.len() {
                match resolver.follow(units, &by_name, host, unit, import)? {
                    Ok(origin) => {
                        resolver.origins.insert((unit, import as u32), origin);
                    }
                    Err(complaint) if !unknown.contains(&complaint) => unknown.push(complaint),
                    Err(_) => {}
                }
                if unknown.len() > MOST_REPORTED {
                    unknown[MOST_REPORTED] = "more than these".to_owned();
                    return Err(LoadError::UnknownImports(unknown));
                }
            }
        }
        if unknown.is_empty() {
            Ok(resolver)
        } else {
            Err(LoadError::UnknownImports(unknown))
        }
    }

    /// Where import number `import` of module `unit` leads.
    pub fn origin(&self, unit: usize, import: usize) -> Option<Origin> {
        self.origins
            .get(&(unit, u32::try_from(import).ok()?))
            .copied()
    }

    fn follow(
        &mut self,
        units: &[Unit<'_>],
        by_name: &HashMap<&str, usize>,
        host: &dyn HostFunctions,
        unit: usize,
        import: usize,
    ) -> Result<Result<Origin, String>, LoadError> {
        let (mut at, mut wanted) = (unit, import);
        // Exports can be re-exported imports.
        for _ in 0..LONGEST_CHAIN {
            let asking = &units[at];
            let asked = &asking.imports[wanted];
            let kind = Kind::of_import(asked.ty);
            let provider = by_name.get(asked.module).copied();
            let found =
                provider.and_then(|provider| Some((provider, units[provider].export(asked.name)?)));
            let Some((provider, export)) = found else {
                return Ok(self.host_function(units, host, at, wanted, provider));
            };
            if asked.module == HOST_ENV && kind != Kind::Function {
                return Ok(Err(format!(
                    "the {} `{HOST_ENV}::{}` to module `{}`: the kernel shares functions only",
                    kind.noun(),
                    asked.name,
                    asking.name
                )));
            }
            let exported = Kind::of_export(export.kind);
            if exported != kind {
                return Err(import_type(asking, asked, kind.noun(), exported.noun()));
            }
            if let Some((found, expected)) =
                types::mismatch(asking, asked.ty, &units[provider], export.index)
            {
                return Err(import_type(asking, asked, &found, &expected));
            }
            let imported = units[provider].imported(kind);
            if export.index >= imported {
                return Ok(Ok(Origin::Defined {
                    unit: provider,
                    nth: export.index - imported,
                }));
            }
            at = provider;
            // An index below the number of imports is one of theirs.
            wanted = units[provider].import(kind, export.index).unwrap_or(0);
        }
        let asked = &units[unit].imports[import];
        Ok(Err(format!(
            "`{}::{}`: modules only pass it on to each other, in a circle or more than {LONGEST_CHAIN} times",
            asked.module, asked.name
        )))
    }

    fn host_function(
        &mut self,
        units: &[Unit<'_>],
        host: &dyn HostFunctions,
        unit: usize,
        import: usize,
        provider: Option<usize>,
    ) -> Result<Origin, String> {
        let asked = &units[unit].imports[import];
        let kind = Kind::of_import(asked.ty);
        let names = host.names(asked.module);
        let type_index = match asked.ty {
            wasmparser::TypeRef::Func(ty) | wasmparser::TypeRef::FuncExact(ty) => Some(ty),
            _ => None,
        };
        if let (Some(ty), true) = (type_index, names.contains(&asked.name)) {
            // WASI works on the memory of the module that calls it, so that each module has its own.
            let module = if asked.module == WASI {
                format!("{RESERVED}wasi:{unit}")
            } else {
                asked.module.to_owned()
            };
            let ordinal = self.host_imports.len() as u32;
            self.host_imports.push(HostImport {
                module,
                name: asked.name.to_owned(),
                unit,
                ty,
            });
            return Ok(Origin::Host(ordinal));
        }
        let exports: Vec<&str> = match provider {
            Some(provider) => units[provider]
                .exports
                .iter()
                .map(|export| export.name)
                .collect(),
            None => Vec::new(),
        };
        let hint = match closest(asked.name, names.iter().copied().chain(exports)) {
            Some(near) => format!(" (did you mean `{near}`?)"),
            None if names.is_empty() && provider.is_none() => {
                format!(" (there is no module `{}`)", asked.module)
            }
            None => String::new(),
        };
        Err(format!(
            "the {} `{}::{}` to module `{}`{hint}",
            kind.noun(),
            asked.module,
            asked.name,
            units[unit].name
        ))
    }
}

fn import_type(
    asking: &Unit<'_>,
    asked: &wasmparser::Import<'_>,
    found: &str,
    expected: &str,
) -> LoadError {
    LoadError::ImportType {
        module: asking.name.clone(),
        import: format!("{}::{}", asked.module, asked.name),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}
