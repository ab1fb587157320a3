//! Writes the merged module.

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

use super::bulk::Bulk;
use super::resolve::{Origin, Resolver};
use super::unit::{Kind, Unit, count, dependency_order};
use super::{RESERVED, WASI};
use crate::LoadError;

/// The export under which the host finds the kernel's memory.
pub(crate) const KERNEL_MEMORY: &str = "exomonad:kernel";
/// The export that runs what must run once before the first call; absent where nothing must.
pub(crate) const INITIALIZE: &str = "exomonad:initialize";

/// The export under which WASI finds the memory of the module with this number.
pub(crate) fn memory_export(unit: &str) -> String {
    format!("{RESERVED}memory:{unit}")
}

/// Where the definitions of one module begin in the merged module.
#[derive(Clone, Copy, Default)]
struct Bases {
    types: u32,
    functions: u32,
    tables: u32,
    memories: u32,
    globals: u32,
    tags: u32,
    elements: u32,
    data: u32,
}

impl Bases {
    fn of(self, kind: Kind) -> u32 {
        match kind {
            Kind::Function => self.functions,
            Kind::Table => self.tables,
            Kind::Memory => self.memories,
            Kind::Global => self.globals,
            Kind::Tag => self.tags,
        }
    }

    /// Where the next module's definitions begin, and in the end how much there is of each.
    fn after(self, unit: &Unit<'_>) -> Self {
        Self {
            types: self.types + count(&unit.types),
            functions: self.functions + count(&unit.bodies),
            tables: self.tables + count(&unit.tables),
            memories: self.memories + count(&unit.memories),
            globals: self.globals + count(&unit.globals),
            tags: self.tags + count(&unit.tags),
            elements: self.elements + unit.elements.as_ref().map_or(0, |section| section.count()),
            data: self.data + unit.data.as_ref().map_or(0, |section| section.count()),
        }
    }
}

/// Translates the indices of one module into those of the merged one.
struct Indices {
    bases: Bases,
    functions: Vec<u32>,
    tables: Vec<u32>,
    memories: Vec<u32>,
    globals: Vec<u32>,
    tags: Vec<u32>,
}

impl Indices {
    fn new(units: &[Unit<'_>], bases: &[Bases], resolver: &Resolver, number: usize) -> Self {
        let unit = &units[number];
        let space = |kind: Kind, defined: u32| -> Vec<u32> {
            let imported = unit
                .imports
                .iter()
                .enumerate()
                .filter(|(_, import)| Kind::of_import(import.ty) == kind);
            let imported = imported.map(|(import, _)| match resolver.origin(number, import) {
                Some(Origin::Host(ordinal)) => ordinal,
                Some(Origin::Defined { unit, nth }) => bases[unit].of(kind) + nth,
                // `Resolver::new` fails unless every import has an origin.
                None => u32::MAX,
            });
            imported
                .chain((0..defined).map(|nth| bases[number].of(kind) + nth))
                .collect()
        };
        Self {
            bases: bases[number],
            functions: space(Kind::Function, count(&unit.bodies)),
            tables: space(Kind::Table, count(&unit.tables)),
            memories: space(Kind::Memory, count(&unit.memories)),
            globals: space(Kind::Global, count(&unit.globals)),
            tags: space(Kind::Tag, count(&unit.tags)),
        }
    }
}

/// An index of a validated module is always in range; one that is not must not become another's.
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

/// Merges `units`, of which the first is the kernel and the last the main module.
pub(super) fn merge(units: &[Unit<'_>], resolver: &Resolver) -> Result<Vec<u8>, LoadError> {
    let mut bases = Vec::with_capacity(units.len());
    let mut next = Bases {
        functions: count(&resolver.host_imports),
        ..Bases::default()
    };
    for unit in units {
        bases.push(next);
        next = next.after(unit);
    }
    let indices = (0..units.len())
        .map(|unit| Indices::new(units, &bases, resolver, unit))
        .collect();
    let mut merger = Merger {
        units,
        resolver,
        indices,
        totals: next,
    };
    merger
        .write()
        .map_err(|error| LoadError::Prepare(format!("the modules cannot be merged: {error}")))
}

struct Merger<'u, 'a> {
    units: &'u [Unit<'a>],
    resolver: &'u Resolver,
    indices: Vec<Indices>,
    totals: Bases,
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

    /// All types of all modules, then `() -> ()` for the functions made here.
    fn types(&mut self) -> Result<TypeSection, Error<Infallible>> {
        let mut section = TypeSection::new();
        for (unit, indices) in self.units.iter().zip(&mut self.indices) {
            for group in &unit.groups {
                indices.parse_recursive_type_group(section.ty(), group.clone())?;
            }
        }
        section.ty().function([], []);
        Ok(section)
    }

    fn imports(&self) -> ImportSection {
        let mut section = ImportSection::new();
        for import in &self.resolver.host_imports {
            let ty = self.indices[import.unit].bases.types + import.ty;
            section.import(&import.module, &import.name, EntityType::Function(ty));
        }
        section
    }

    fn functions(&self, synthetic: u32) -> FunctionSection {
        let mut section = FunctionSection::new();
        for (unit, indices) in self.units.iter().zip(&self.indices) {
            for ty in &unit.function_types[unit.imported(Kind::Function) as usize..] {
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
        for (unit, indices) in self.units.iter().zip(&mut self.indices) {
            for table in &unit.tables {
                indices.parse_table(&mut tables, table.clone())?;
            }
            for memory in &unit.memories {
                memories.memory(indices.memory_type(*memory)?);
            }
            for tag in &unit.tags {
                tags.tag(indices.tag_type(*tag)?);
            }
            for global in &unit.globals {
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
        for (number, unit) in self.units.iter().enumerate() {
            if let (true, Some(memory)) = (
                unit.imports_from(WASI),
                self.indices[number].memories.first(),
            ) {
                section.export(
                    &memory_export(&number.to_string()),
                    ExportKind::Memory,
                    *memory,
                );
            }
        }
        if let (Some(main), Some(indices)) = (self.units.last(), self.indices.last_mut()) {
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
        for (unit, indices) in self.units.iter().zip(&mut self.indices) {
            if let Some(section) = &unit.elements {
                indices.parse_element_section(&mut elements, section.clone())?;
            }
            let bulk = bulk_functions(unit);
            let first = unit.imported(Kind::Function);
            for (index, body) in (first..).zip(&unit.bodies) {
                match (bulk.get(&index), indices.memories.first()) {
                    (Some(bulk), Some(memory)) => {
                        code.function(&bulk.body(0, *memory));
                    }
                    _ => indices.parse_function_body(&mut code, body.clone())?,
                }
            }
            if let Some(section) = &unit.data {
                indices.parse_data_section(&mut data, section.clone())?;
            }
        }
        for function in synthetic {
            code.function(function);
        }
        // To be exported is what allows a function to be referred to, and a library's exports are none
        // of the merged module's: declared here, they can be referred to as before. The segment comes
        // after all others, so that it moves none.
        let libraries = self.units.iter().zip(&self.indices).skip(1);
        let libraries = libraries.take(self.units.len().saturating_sub(2));
        let exported: Vec<u32> = libraries
            .flat_map(|(unit, indices)| {
                let functions = unit.function_exports();
                functions.map(|(function, _)| indices.functions[function as usize])
            })
            .collect();
        if !exported.is_empty() {
            elements.declared(Elements::Functions(exported.into()));
        }
        if !elements.is_empty() {
            module.section(&elements);
        }
        if self.units.iter().any(|unit| unit.needs_data_count) {
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

    /// Calls the initialisers of all modules, each after those of the modules it imports from.
    fn initialize(&self) -> Option<Function> {
        let mut function = Function::new([]);
        let mut any = false;
        for number in dependency_order(self.units) {
            let is_main = number + 1 == self.units.len();
            for (initializer, zeros) in self.units[number].initializers(is_main) {
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
        for number in dependency_order(self.units) {
            if let Some(start) = self.units[number].start {
                any = true;
                function.instruction(&Instruction::Call(
                    self.indices[number].functions[start as usize],
                ));
            }
        }
        function.instruction(&Instruction::End);
        any.then_some(function)
    }

    /// Function names, so that a trap can say where it happened.
    fn names(&self) -> NameSection {
        let mut functions = NameMap::new();
        let several = self.units.len() > 2;
        for (unit, indices) in self.units.iter().zip(&self.indices).skip(1) {
            let first = unit.imported(Kind::Function);
            // Better an export's name than none.
            let mut names: HashMap<u32, &str> = unit.function_exports().collect();
            names.extend(&unit.function_names);
            for (nth, index) in (first..).take(unit.bodies.len()).enumerate() {
                if let Some(name) = names.get(&index) {
                    let index = indices.bases.functions + nth as u32;
                    if several {
                        functions.append(index, &format!("{}::{name}", unit.name));
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

/// The functions of a module whose bodies the linker replaces. Their addresses have 32 bits: in a memory
/// of 64 the same names mean something else.
fn bulk_functions(unit: &Unit<'_>) -> HashMap<u32, Bulk> {
    if !matches!(unit.type_of(Kind::Memory, 0), Some(TypeRef::Memory(memory)) if !memory.memory64) {
        return HashMap::new();
    }
    let own = unit
        .function_exports()
        .filter(|(index, _)| *index >= unit.imported(Kind::Function));
    own.filter_map(|(index, name)| {
        Some((index, Bulk::recognise(name, unit.function_type(index)?)?))
    })
    .collect()
}
