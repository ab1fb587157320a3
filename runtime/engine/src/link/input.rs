//! An input module of the linker, parsed into its sections.

use std::collections::{HashMap, HashSet};

use wasmparser::{
    CompositeInnerType, DataSectionReader, ElementSectionReader, Encoding, Export, ExternalKind,
    FuncType, FunctionBody, Global, Import, KnownCustom, MemoryType, Name, Parser, Payload,
    RecGroup, SubType, Table, TagType, TypeRef, Validator, WasmFeatures,
};

use crate::LoadError;

/// A validated module, by reference into its bytes.
pub(super) struct InputModule<'a> {
    pub name: String,
    pub groups: Vec<RecGroup>,
    pub types: Vec<SubType>,
    pub imports: Vec<Import<'a>>,
    /// The type index of each function, imported ones first.
    pub function_types: Vec<u32>,
    pub tables: Vec<Table<'a>>,
    pub memories: Vec<MemoryType>,
    pub tags: Vec<TagType>,
    pub globals: Vec<Global<'a>>,
    pub exports: Vec<Export<'a>>,
    pub start: Option<u32>,
    pub elements: Option<ElementSectionReader<'a>>,
    pub bodies: Vec<FunctionBody<'a>>,
    pub data: Option<DataSectionReader<'a>>,
    pub needs_data_count: bool,
    pub function_names: HashMap<u32, &'a str>,
    /// The positions of the imports of each kind, in the order of [`Kind`].
    import_positions: [Vec<u32>; 5],
    /// The position of each export, by name.
    export_positions: HashMap<&'a str, usize>,
}

/// The kinds of items that have an index space of their own and can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
    Tag,
}

impl Kind {
    pub fn of_import(ty: TypeRef) -> Self {
        match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => Self::Function,
            TypeRef::Table(_) => Self::Table,
            TypeRef::Memory(_) => Self::Memory,
            TypeRef::Global(_) => Self::Global,
            TypeRef::Tag(_) => Self::Tag,
        }
    }

    pub fn of_export(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => Self::Tag,
        }
    }

    pub fn noun(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Table => "table",
            Self::Memory => "memory",
            Self::Global => "global",
            Self::Tag => "tag",
        }
    }
}

impl<'a> InputModule<'a> {
    /// Validates and parses `wasm`.
    pub fn parse(name: &str, wasm: &'a [u8], features: WasmFeatures) -> Result<Self, LoadError> {
        if Parser::is_component(wasm) {
            return Err(LoadError::Component {
                module: name.to_owned(),
            });
        }
        let invalid = |error: wasmparser::BinaryReaderError| LoadError::Invalid {
            module: name.to_owned(),
            reason: error.to_string(),
        };
        Validator::new_with_features(features)
            .validate_all(wasm)
            .map_err(invalid)?;
        let mut input = Self::empty(name);
        for payload in Parser::new(0).parse_all(wasm) {
            input.take(payload.map_err(invalid)?).map_err(invalid)?;
        }
        for (position, import) in (0..).zip(&input.imports) {
            input.import_positions[Kind::of_import(import.ty) as usize].push(position);
        }
        let names = input.exports.iter().map(|export| export.name);
        input.export_positions = names.zip(0..).collect();
        Ok(input)
    }

    fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            groups: Vec::new(),
            types: Vec::new(),
            imports: Vec::new(),
            function_types: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            tags: Vec::new(),
            globals: Vec::new(),
            exports: Vec::new(),
            start: None,
            elements: None,
            bodies: Vec::new(),
            data: None,
            needs_data_count: false,
            function_names: HashMap::new(),
            import_positions: Default::default(),
            export_positions: HashMap::new(),
        }
    }

    fn take(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::Version { encoding, .. } => debug_assert_eq!(encoding, Encoding::Module),
            Payload::TypeSection(section) => {
                for group in section {
                    let group = group?;
                    self.types.extend(group.types().cloned());
                    self.groups.push(group);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                        self.function_types.push(ty);
                    }
                    self.imports.push(import);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.function_types.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                self.tables = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::MemorySection(section) => {
                self.memories = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::TagSection(section) => {
                self.tags = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::GlobalSection(section) => {
                self.globals = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::ExportSection(section) => {
                self.exports = section.into_iter().collect::<Result<_, _>>()?
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(section) => self.elements = Some(section),
            Payload::DataCountSection { .. } => self.needs_data_count = true,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::DataSection(section) => self.data = Some(section),
            Payload::CustomSection(section) => {
                // A broken name section only costs the names.
                if let KnownCustom::Name(names) = section.as_known() {
                    for subsection in names.into_iter().map_while(Result::ok) {
                        if let Name::Function(map) = subsection {
                            self.function_names.extend(
                                map.into_iter()
                                    .map_while(Result::ok)
                                    .map(|naming| (naming.index, naming.name)),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The type of the table, memory, global or tag with this index; functions have
    /// [`function_type`](Self::function_type).
    pub fn type_of(&self, kind: Kind, index: u32) -> Option<TypeRef> {
        let Some(defined) = index.checked_sub(self.imported(kind)) else {
            return self
                .import(kind, index)
                .map(|import| self.imports[import].ty);
        };
        let defined = defined as usize;
        Some(match kind {
            Kind::Table => TypeRef::Table(self.tables.get(defined)?.ty),
            Kind::Memory => TypeRef::Memory(*self.memories.get(defined)?),
            Kind::Global => TypeRef::Global(self.globals.get(defined)?.ty),
            Kind::Tag => TypeRef::Tag(*self.tags.get(defined)?),
            Kind::Function => return None,
        })
    }

    /// The number of imports of this kind, which is also the first index of the module's own definitions.
    pub fn imported(&self, kind: Kind) -> u32 {
        count(&self.import_positions[kind as usize])
    }

    /// The position among all imports of the `nth` import of this kind.
    pub fn import(&self, kind: Kind, nth: u32) -> Option<usize> {
        let position = self.import_positions[kind as usize].get(nth as usize)?;
        Some(*position as usize)
    }

    pub fn export(&self, name: &str) -> Option<Export<'a>> {
        let position = *self.export_positions.get(name)?;
        self.exports.get(position).copied()
    }

    /// The indices of the exported functions with the names they are exported by.
    pub fn function_exports(&self) -> impl Iterator<Item = (u32, &'a str)> {
        self.exports
            .iter()
            .filter(|export| Kind::of_export(export.kind) == Kind::Function)
            .map(|export| (export.index, export.name))
    }

    /// The exported functions, by name, with their index and type.
    pub fn exported_function(&self, name: &str) -> Option<(u32, &FuncType)> {
        let export = self
            .export(name)
            .filter(|export| Kind::of_export(export.kind) == Kind::Function)?;
        Some((export.index, self.function_type(export.index)?))
    }

    pub fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.func_type(*self.function_types.get(function as usize)?)
    }

    /// The type with this index, if it is one of functions.
    pub fn func_type(&self, ty: u32) -> Option<&FuncType> {
        match &self.types.get(ty as usize)?.composite_type.inner {
            CompositeInnerType::Func(ty) => Some(ty),
            _ => None,
        }
    }

    /// The functions that must run before the first call, in order, with how many `i32` zeros each takes.
    ///
    /// The order is Extism's: a Haskell reactor's `_initialize` and then `hs_init(0, 0)`; else
    /// `__wasm_call_ctors` of a bare C or C++ module; else a WASI reactor's `_initialize`. A module that
    /// another one links against is only ever a reactor.
    pub fn initializers(&self, is_main: bool) -> Vec<(u32, usize)> {
        let plain = |name| {
            let (index, ty) = self.exported_function(name)?;
            (ty.params().is_empty() && ty.results().is_empty()).then_some((index, 0))
        };
        let reactor = plain("_initialize");
        if !is_main {
            return reactor.into_iter().collect();
        }
        let haskell = self.exported_function("hs_init").and_then(|(index, ty)| {
            let ints = ty
                .params()
                .iter()
                .all(|param| *param == wasmparser::ValType::I32);
            (ints && ty.params().len() == 2 && ty.results().is_empty()).then_some((index, 2))
        });
        match haskell {
            Some(haskell) => reactor.into_iter().chain([haskell]).collect(),
            None => plain("__wasm_call_ctors").or(reactor).into_iter().collect(),
        }
    }

    /// True if the module imports anything from `module`.
    pub fn imports_from(&self, module: &str) -> bool {
        self.imports.iter().any(|import| import.module == module)
    }

    /// The first export with a reserved name.
    pub fn reserved_export(&self) -> Option<&'a str> {
        self.exports
            .iter()
            .map(|export| export.name)
            .find(|name| name.starts_with(super::RESERVED))
    }

    /// The modules that this one imports from.
    pub fn dependencies(&self) -> HashSet<&'a str> {
        self.imports.iter().map(|import| import.module).collect()
    }
}

/// The modules' numbers, each after those of the modules that it imports from.
pub(super) fn dependency_order(inputs: &[InputModule<'_>]) -> Vec<usize> {
    let by_name: HashMap<&str, usize> = inputs
        .iter()
        .zip(0..)
        .map(|(input, number)| (input.name.as_str(), number))
        .collect();
    let needs = |input: &InputModule<'_>| {
        let numbers = input.dependencies().into_iter();
        let mut numbers: Vec<usize> = numbers
            .filter_map(|name| by_name.get(name).copied())
            .collect();
        // The last comes off first.
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers
    };
    let mut order = Vec::with_capacity(inputs.len());
    let mut seen = vec![false; inputs.len()];
    // Modules whose dependencies are being placed, each with those that are left.
    let mut path: Vec<(usize, Vec<usize>)> = Vec::new();
    for number in 0..inputs.len() {
        let mut next = Some(number);
        loop {
            if let Some(number) = next.filter(|number| !std::mem::replace(&mut seen[*number], true))
            {
                path.push((number, needs(&inputs[number])));
            }
            let Some((number, left)) = path.last_mut() else {
                break;
            };
            next = left.pop();
            if next.is_none() {
                order.push(*number);
                path.pop();
            }
        }
    }
    order
}

/// The length of a collection of a validated module, which always fits: wasm counts in u32.
pub(super) fn count<T>(items: impl IntoIterator<Item = T>) -> u32 {
    u32::try_from(items.into_iter().count()).unwrap_or(u32::MAX)
}
