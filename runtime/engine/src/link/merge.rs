//! The merged module and its sections.

use std::collections::HashMap;
use std::convert::Infallible;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, ImportSection, Instruction,
    MemorySection, Module, NameMap, NameSection, StartSection, TableSection, TagSection,
    TypeSection,
};

use wasmparser::TypeRef;

use super::bulk::BulkCopy;
use super::input::{InputModule, Kind, count, dependency_order};
use super::resolve::{Definition, Resolver};
use super::{RESERVED, WASI};
use crate::LoadError;

/// The name under which the kernel's memory is exported to the host.
pub(crate) const KERNEL_MEMORY: &str = "exomonad:kernel";
/// The export that runs all initialisers; absent if there are none.
pub(crate) const INITIALIZE: &str = "exomonad:initialize";

/// The name under which the memory of the module with this number is exported for WASI.
pub(crate) fn memory_export(number: &str) -> String {
    format!("{RESERVED}memory:{number}")
}

/// The first index of one module's definitions in the merged module, for each kind.
#[derive(Clone, Copy, Default)]
struct BaseIndices {
    types: u32,
    functions: u32,
    tables: u32,
    memories: u32,
    globals: u32,
    tags: u32,
    elements: u32,
    data: u32,
}

impl BaseIndices {
    fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Function => self.functions,
            Kind::Table => self.tables,
            Kind::Memory => self.memories,
            Kind::Global => self.globals,
            Kind::Tag => self.tags,
        }
    }

    /// The first indices of the next module; after the last module, the totals.
    fn after(self, input: &InputModule<'_>) -> Self {
        Self {
            types: self.types + count(&input.types),
            functions: self.functions + count(&input.bodies),
            tables: self.tables + count(&input.tables),
            memories: self.memories + count(&input.memories),
            globals: self.globals + count(&input.globals),
            tags: self.tags + count(&input.tags),
            elements: self.elements + input.elements.as_ref().map_or(0, |section| section.count()),
            data: self.data + input.data.as_ref().map_or(0, |section| section.count()),
        }
    }
}

/// Translates the indices of one module into those of the merged one.
struct Indices {
    bases: BaseIndices,
    functions: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
    tags: Vec<u32>,
}

impl Indices {
    fn new(
        inputs: &[InputModule<'_>],
        bases: &[BaseIndices],
        resolver: &Resolver,
        number: usize,
    ) -> Self {
        let input = &inputs[number];
        let space = |kind: Kind, defined: u32| -> Vec<u32> {
            let imported = input
                .imports
                .iter()
                .enumerate()
                .filter(|(_, import)| Kind::of_import(import.ty) == kind);
            let imported = imported.map(|(import, _)| match resolver.definition(number, import) {
                Some(Definition::Host(ordinal)) => ordinal,
                Some(Definition::Module { input, nth }) => bases[input].of(kind) + nth,
                // `Resolver::new` fails unless every import is resolved.
                None => u32::MAX,
            });
            imported
                .chain((0..defined).map(|nth| bases[number].of(kind) + nth))
                .collect()
        };
        Self {
            bases: bases[number],
            functions: space(Kind::Function, count(&input.bodies)),
            tables: space(Kind::Table, count(&input.tables)),
            memories: space(Kind::Memory, count(&input.memories)),
            globals: space(Kind::Global, count(&input.globals)),
            tags: space(Kind::Tag, count(&input.tags)),
        }
    }
}

/// An index of a validated module is always in range; any other must not become a valid one.
fn translate(space: &[u32], index: u32) -> Result<u32, Error<Infallible>> {
    Ok(space.get(index as usize).copied().unwrap_or(u32::MAX))
}

impl Reencode for Indices {
    type Error = Infallible;

    fn type_index(&mut self, ty: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.bases.types + ty)
    }
    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        translate(&self.functions, function)
    }
    fn table_index(&mut self, table: u32) -> Result<u32, Error<Infallible>> {
        translate(&self.tables, table)
    }
    fn memory_index(&mut self, memory: u32) -> Result<u32, Error<Infallible>> {
        translate(&self.memories, memory)
    }
    fn global_index(&mut self, global: u32) -> Result<u32, Error<Infallible>> {
        translate(&self.globals, global)
    }
    fn tag_index(&mut self, tag: u32) -> Result<u32, Error<Infallible>> {
        translate(&self.tags, tag)
    }
    fn element_index(&mut self, element: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.bases.elements + element)
    }
    fn data_index(&mut self, data: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.bases.data + data)
    }
}

/// Merges the input modules, of which the first is the kernel and the last the main module.
pub(super) fn merge(inputs: &[InputModule<'_>], resolver: &Resolver) -> Result<Vec<u8>, LoadError> {
    let mut bases = Vec::with_capacity(inputs.len());
    let mut next = BaseIndices {
        functions: count(&resolver.host_imports),
        ..BaseIndices::default()
    };
    for input in inputs {
        bases.push(next);
        next = next.after(input);
    }
    let indices = (0..inputs.len())
        .map(|input| Indices::new(inputs, &bases, resolver, input))
        .collect();
    let mut merger = Merger {
        inputs,
        resolver,
        indices,
        totals: next,
    };
    merger
        .write()
        .map_err(|error| LoadError::Prepare(format!("the modules cannot be merged: {error}")))
}

struct Merger<'u, 'a> {
    inputs: &'u [InputModule<'a>],
    resolver: &'u Resolver,
    indices: Vec<Indices>,
    totals: BaseIndices,
}

impl Merger<'_, '_> {
    fn write(&mut self) -> Result<Vec<u8>, Error<Infallible>> {
        let initialize = self.initialize();
        let start = self.start();
        let synthetic: Vec<&Function> = [&initialize, &start].into_iter().flatten().collect();
        let initialize_index = initialize.is_some().then_some(self.totals.functions);
        let start_index = start
            .is_some()
            .then(|| self.totals.functions + u32::from(initialize.is_some()));

        let mut module = Module::new();
        module.section(&self.types()?);
        module.section(&self.imports());
        module.section(&self.functions(count(&synthetic)));
        self.definitions(&mut module)?;
        module.section(&self.exports(initialize_index)?);
        if let Some(function_index) = start_index {
            module.section(&StartSection { function_index });
        }
        self.contents(&mut module, &synthetic)?;
        module.section(&self.names());
        Ok(module.finish())
    }

    /// All types of all modules, then `() -> ()` for the generated functions.
    fn types(&mut self) -> Result<TypeSection, Error<Infallible>> {
        let mut section = TypeSection::new();
        for (input, indices) in self.inputs.iter().zip(&mut self.indices) {
            for group in &input.groups {
                indices.parse_recursive_type_group(section.ty(), group.clone())?;
            }
        }
        section.ty().function([], []);
        Ok(section)
    }

    fn imports(&self) -> ImportSection {
        let mut section = ImportSection::new();
        for import in &self.resolver.host_imports {
            let ty = self.indices[import.input].bases.types + import.ty;
            section.import(&import.module, &import.name, EntityType::Function(ty));
        }
        section
    }

    fn functions(&self, synthetic: u32) -> FunctionSection {
        let mut section = FunctionSection::new();
        for (input, indices) in self.inputs.iter().zip(&self.indices) {
            for ty in &input.function_types[input.imported(Kind::Function) as usize..] {
                section.function(indices.bases.types + ty);
            }
        }
        for _ in 0..synthetic {
            section.function(self.totals.types);
        }
        section
    }

    fn definitions(&mut self, module: &mut Module) -> Result<(), Error<Infallible>> {
        let (mut tables, mut memories) = (TableSection::new(), MemorySection::new());
        let (mut tags, mut globals) = (TagSection::new(), GlobalSection::new());
        for (input, indices) in self.inputs.iter().zip(&mut self.indices) {
            for table in &input.tables {
                indices.parse_table(&mut tables, table.clone())?;
            }
            for memory in &input.memories {
                memories.memory(indices.memory_type(*memory)?);
            }
            for tag in &input.tags {
                tags.tag(indices.tag_type(*tag)?);
            }
            for global in &input.globals {
                indices.parse_global(&mut globals, global.clone())?;
            }
        }
        module.section(&tables).section(&memories);
        if !tags.is_empty() {
            module.section(&tags);
        }
        module.section(&globals);
        Ok(())
    }

    fn exports(&mut self, initialize: Option<u32>) -> Result<ExportSection, Error<Infallible>> {
        let mut section = ExportSection::new();
        section.export(KERNEL_MEMORY, ExportKind::Memory, 0);
        if let Some(index) = initialize {
            section.export(INITIALIZE, ExportKind::Func, index);
        }
        for (number, input) in self.inputs.iter().enumerate() {
            if let (true, Some(memory)) = (
                input.imports_from(WASI),
                self.indices[number].memories.first(),
            ) {
                section.export(
                    &memory_export(&number.to_string()),
                    ExportKind::Memory,
                    *memory,
                );
            }
        }
        if let (Some(main), Some(indices)) = (self.inputs.last(), self.indices.last_mut()) {
            for export in &main.exports {
                indices.parse_export(&mut section, *export)?;
            }
        }
        Ok(section)
    }

    fn contents(
        &mut self,
        module: &mut Module,
        synthetic: &[&Function],
    ) -> Result<(), Error<Infallible>> {
        let (mut elements, mut code, mut data) = (
            ElementSection::new(),
            CodeSection::new(),
            DataSection::new(),
        );
        for (input, indices) in self.inputs.iter().zip(&mut self.indices) {
            if let Some(section) = &input.elements {
                indices.parse_element_section(&mut elements, section.clone())?;
            }
            let bulk = bulk_copies(input);
            let first = input.imported(Kind::Function);
            for (index, body) in (first..).zip(&input.bodies) {
                match (bulk.get(&index), indices.memories.first()) {
                    (Some(bulk), Some(memory)) => {
                        code.function(&bulk.body(0, *memory));
                    }
                    _ => indices.parse_function_body(&mut code, body.clone())?,
                }
            }
            if let Some(section) = &input.data {
                indices.parse_data_section(&mut data, section.clone())?;
            }
        }
        for function in synthetic {
            code.function(function);
        }
        // Only exported or declared functions can be referred to, and the merged module does not export a
        // library's exports: declared here, they can be referred to as before. The segment comes
        // after all others, so that their indices stay the same.
        let libraries = self.inputs.iter().zip(&self.indices).skip(1);
        let libraries = libraries.take(self.inputs.len().saturating_sub(2));
        let exported: Vec<u32> = libraries
            .flat_map(|(input, indices)| {
                let functions = input.function_exports();
                functions.map(|(function, _)| indices.functions[function as usize])
            })
            .collect();
        if !exported.is_empty() {
            elements.declared(Elements::Functions(exported.into()));
        }
        if !elements.is_empty() {
            module.section(&elements);
        }
        if self.inputs.iter().any(|input| input.needs_data_count) {
            module.section(&DataCountSection {
                count: self.totals.data,
            });
        }
        module.section(&code);
        if !data.is_empty() {
            module.section(&data);
        }
        Ok(())
    }

    /// Calls the initialisers of all modules, each module's after those of the modules it imports from.
    fn initialize(&self) -> Option<Function> {
        let mut function = Function::new([]);
        let mut any = false;
        for number in dependency_order(self.inputs) {
            let is_main = number + 1 == self.inputs.len();
            for (initializer, zeros) in self.inputs[number].initializers(is_main) {
                any = true;
                for _ in 0..zeros {
                    function.instruction(&Instruction::I32Const(0));
                }
                let index = self.indices[number].functions[initializer as usize];
                function.instruction(&Instruction::Call(index));
            }
        }
        function.instruction(&Instruction::End);
        any.then_some(function)
    }

    /// Calls the start functions of all modules in the same order.
    fn start(&self) -> Option<Function> {
        let mut function = Function::new([]);
        let mut any = false;
        for number in dependency_order(self.inputs) {
            if let Some(start) = self.inputs[number].start {
                any = true;
                function.instruction(&Instruction::Call(
                    self.indices[number].functions[start as usize],
                ));
            }
        }
        function.instruction(&Instruction::End);
        any.then_some(function)
    }

    /// The names of the functions, for the backtraces of traps.
    fn names(&self) -> NameSection {
        let mut functions = NameMap::new();
        let several = self.inputs.len() > 2;
        for (input, indices) in self.inputs.iter().zip(&self.indices).skip(1) {
            let first = input.imported(Kind::Function);
            // An export's name is better than none.
            let mut names: HashMap<u32, &str> = input.function_exports().collect();
            names.extend(&input.function_names);
            for (nth, index) in (first..).take(input.bodies.len()).enumerate() {
                if let Some(name) = names.get(&index) {
                    let index = indices.bases.functions + nth as u32;
                    if several {
                        functions.append(index, &format!("{}::{name}", input.name));
                    } else {
                        functions.append(index, name);
                    }
                }
            }
        }
        let mut section = NameSection::new();
        section.functions(&functions);
        section
    }
}

/// The functions of a module whose bodies the linker replaces. Their addresses have 32 bits: with a 64-bit
/// memory the same names mean something else.
fn bulk_copies(input: &InputModule<'_>) -> HashMap<u32, BulkCopy> {
    if !matches!(input.type_of(Kind::Memory, 0), Some(TypeRef::Memory(memory)) if !memory.memory64)
    {
        return HashMap::new();
    }
    let own = input
        .function_exports()
        .filter(|(index, _)| *index >= input.imported(Kind::Function));
    own.filter_map(|(index, name)| {
        Some((
            index,
            BulkCopy::recognise(name, input.function_type(index)?)?,
        ))
    })
    .collect()
}
