//! Resolution of imports to another module's definition or to a host function.

use std::collections::HashMap;

use super::input::{InputModule, Kind};
use super::types;
use super::{HOST_ENV, RESERVED, WASI};
use crate::{LoadError, suggest::closest, units::clipped};

/// The functions that the host provides, by import module.
pub(crate) trait HostFunctions {
    /// The names of the functions in `module`, none if the host has no such module.
    fn names(&self, module: &str) -> Vec<&str>;
}

/// The maximum number of re-exports that an import is followed through.
const MAX_REEXPORTS: usize = 100;
/// The maximum number of unknown imports that are reported together.
const MAX_REPORTED: usize = 20;

/// The bytes of a name that an error message quotes.
const MAX_NAME: usize = 200;
/// The number of WASI functions that an error message names.
const MAX_WASI_NAMED: usize = 3;

/// The definition that an import resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// A host function: its index among the merged module's imports.
    Host(u32),
    /// Defined by a module: its number, and the position among its own definitions of that kind.
    Module { input: usize, nth: u32 },
}

/// A function that the merged module imports from the host.
pub(super) struct HostImport {
    pub module: String,
    pub name: String,
    /// The importing module, and the type that it declares.
    pub input: usize,
    pub ty: u32,
}

/// All imports of all modules, resolved.
pub(super) struct Resolver {
    pub host_imports: Vec<HostImport>,
    definitions: HashMap<(usize, u32), Definition>,
}

impl Resolver {
    /// Resolves every import; unknown imports are reported together.
    pub fn new(inputs: &[InputModule<'_>], host: &dyn HostFunctions) -> Result<Self, LoadError> {
        let by_name: HashMap<&str, usize> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| (input.name.as_str(), index))
            .collect();
        let mut resolver = Self {
            host_imports: Vec::new(),
            definitions: HashMap::new(),
        };
        check_wasi(inputs, &by_name, host)?;
        let mut unknown = Vec::new();
        for input in 0..inputs.len() {
            for import in 0..inputs[input].imports.len() {
                match resolver.resolve(inputs, &by_name, host, input, import)? {
                    Ok(definition) => {
                        resolver
                            .definitions
                            .insert((input, import as u32), definition);
                    }
                    Err(message) if !unknown.contains(&message) => unknown.push(message),
                    Err(_) => {}
                }
                if unknown.len() > MAX_REPORTED {
                    unknown[MAX_REPORTED] = "more than these".to_owned();
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

    /// The definition that import number `import` of module `input` resolves to.
    pub fn definition(&self, input: usize, import: usize) -> Option<Definition> {
        self.definitions
            .get(&(input, u32::try_from(import).ok()?))
            .copied()
    }

    fn resolve(
        &mut self,
        inputs: &[InputModule<'_>],
        by_name: &HashMap<&str, usize>,
        host: &dyn HostFunctions,
        input: usize,
        import: usize,
    ) -> Result<Result<Definition, String>, LoadError> {
        let (mut at, mut wanted) = (input, import);
        // Exports can be re-exported imports.
        for _ in 0..MAX_REEXPORTS {
            let importer = &inputs[at];
            let import = &importer.imports[wanted];
            let kind = Kind::of_import(import.ty);
            let provider = by_name.get(import.module).copied();
            let found = provider
                .and_then(|provider| Some((provider, inputs[provider].export(import.name)?)));
            let Some((provider, export)) = found else {
                return Ok(self.host_function(inputs, host, at, wanted, provider));
            };
            if import.module == HOST_ENV && kind != Kind::Function {
                return Ok(Err(format!(
                    "the {} `{HOST_ENV}::{}` to module `{}`: the kernel shares functions only",
                    kind.noun(),
                    import.name,
                    importer.name
                )));
            }
            let exported = Kind::of_export(export.kind);
            if exported != kind {
                return Err(import_type(importer, import, kind.noun(), exported.noun()));
            }
            if let Some((found, expected)) =
                types::mismatch(importer, import.ty, &inputs[provider], export.index)
            {
                return Err(import_type(importer, import, &found, &expected));
            }
            let imported = inputs[provider].imported(kind);
            if export.index >= imported {
                return Ok(Ok(Definition::Module {
                    input: provider,
                    nth: export.index - imported,
                }));
            }
            at = provider;
            // An index below the number of imports is an import's.
            wanted = inputs[provider].import(kind, export.index).unwrap_or(0);
        }
        let import = &inputs[input].imports[import];
        Ok(Err(format!(
            "`{}::{}`: modules only pass it on to each other, in a circle or more than {MAX_REEXPORTS} times",
            import.module, import.name
        )))
    }

    fn host_function(
        &mut self,
        inputs: &[InputModule<'_>],
        host: &dyn HostFunctions,
        input: usize,
        import: usize,
        provider: Option<usize>,
    ) -> Result<Definition, String> {
        let import = &inputs[input].imports[import];
        let kind = Kind::of_import(import.ty);
        let names = host.names(import.module);
        let type_index = match import.ty {
            wasmparser::TypeRef::Func(ty) | wasmparser::TypeRef::FuncExact(ty) => Some(ty),
            _ => None,
        };
        if let (Some(ty), true) = (type_index, names.contains(&import.name)) {
            // WASI works on the memory of the calling module, so that each module has its own functions.
            let module = if import.module == WASI {
                format!("{RESERVED}wasi:{input}")
            } else {
                import.module.to_owned()
            };
            let ordinal = self.host_imports.len() as u32;
            self.host_imports.push(HostImport {
                module,
                name: import.name.to_owned(),
                input,
                ty,
            });
            return Ok(Definition::Host(ordinal));
        }
        let exports: Vec<&str> = match provider {
            Some(provider) => inputs[provider]
                .exports
                .iter()
                .map(|export| export.name)
                .collect(),
            None => Vec::new(),
        };
        let hint = match closest(import.name, names.iter().copied().chain(exports)) {
            Some(near) => format!(" (did you mean `{near}`?)"),
            None if names.is_empty() && provider.is_none() => {
                format!(
                    " (there is no module `{}`)",
                    clipped(import.module, MAX_NAME)
                )
            }
            None => String::new(),
        };
        Err(format!(
            "the {} `{}::{}` to module `{}`{hint}",
            kind.noun(),
            clipped(import.module, MAX_NAME),
            clipped(import.name, MAX_NAME),
            inputs[input].name
        ))
    }
}

/// Refuses a module that imports WASI where the host does not provide it, with one short message in
/// place of one for each import.
fn check_wasi(
    inputs: &[InputModule<'_>],
    by_name: &HashMap<&str, usize>,
    host: &dyn HostFunctions,
) -> Result<(), LoadError> {
    if by_name.contains_key(WASI) || !host.names(WASI).is_empty() {
        return Ok(());
    }
    for input in inputs {
        let mut functions: Vec<&str> = Vec::new();
        for import in input.imports.iter().filter(|import| import.module == WASI) {
            if !functions.contains(&import.name) {
                functions.push(import.name);
            }
        }
        if functions.is_empty() {
            continue;
        }
        let named = functions.iter().take(MAX_WASI_NAMED);
        let mut first: Vec<String> = named.map(|name| format!("`{name}`")).collect();
        if functions.len() > MAX_WASI_NAMED {
            first.push("…".to_owned());
        }
        return Err(LoadError::WasiNotAllowed {
            module: input.name.clone(),
            count: functions.len(),
            first: first.join(", "),
        });
    }
    Ok(())
}

fn import_type(
    importer: &InputModule<'_>,
    import: &wasmparser::Import<'_>,
    found: &str,
    expected: &str,
) -> LoadError {
    LoadError::ImportType {
        module: importer.name.clone(),
        import: format!("{}::{}", import.module, import.name),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}
