//! BulkCopy copies: functions of a guest SDK that the linker replaces by `memory.copy`.
//!
//! Extism copies bytes between a guest and the kernel eight at a time. Our SDKs do that too, so that
//! their plugins run on any Extism host, but in two functions of their own that they export under these
//! names. If they have the right type, the linker replaces their bodies by one `memory.copy` between the
//! two memories.

use wasm_encoder::{Function, Instruction as I};
use wasmparser::{FuncType, ValType};

/// The direction of a bulk copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BulkCopy {
    /// `exomonad_memory_read(kernel offset: u64, guest address, length)`.
    Read,
    /// `exomonad_memory_write(kernel offset: u64, guest address, length)`.
    Write,
}

/// The start of the kernel's heap; below it is the kernel's own state.
const HEAP_BASE: i64 = 160;

impl BulkCopy {
    /// The direction of the bulk function exported as `name` with the type `ty`, if it is one.
    pub(super) fn recognise(name: &str, ty: &FuncType) -> Option<Self> {
        let direction = match name {
            "exomonad_memory_read" => Self::Read,
            "exomonad_memory_write" => Self::Write,
            _ => return None,
        };
        let typed =
            ty.params() == [ValType::I64, ValType::I32, ValType::I32] && ty.results().is_empty();
        typed.then_some(direction)
    }

    /// The body that replaces the guest's loop.
    ///
    /// `memory.copy` itself traps on ranges beyond either memory; the check before it protects the
    /// kernel's state and rejects offsets that need more than 32 bits.
    pub(super) fn body(self, kernel_memory: u32, guest_memory: u32) -> Function {
        let mut body = Function::new([]);
        let emit = |body: &mut Function, instructions: &[I<'_>]| {
            for instruction in instructions {
                body.instruction(instruction);
            }
        };
        emit(
            &mut body,
            &[
                I::LocalGet(0),
                I::I64Const(HEAP_BASE),
                I::I64Sub,
                I::I64Const(0xFFFF_FFFF - HEAP_BASE),
                I::I64GtU,
                I::If(wasm_encoder::BlockType::Empty),
                // An empty copy may have any offset, as in the loop.
                I::LocalGet(2),
                I::I32Eqz,
                I::If(wasm_encoder::BlockType::Empty),
                I::Return,
                I::End,
                I::Unreachable,
                I::End,
            ],
        );
        let kernel = [I::LocalGet(0), I::I32WrapI64];
        let guest = [I::LocalGet(1)];
        let (src_mem, dst_mem) = match self {
            Self::Read => {
                emit(&mut body, &guest);
                emit(&mut body, &kernel);
                (kernel_memory, guest_memory)
            }
            Self::Write => {
                emit(&mut body, &kernel);
                emit(&mut body, &guest);
                (guest_memory, kernel_memory)
            }
        };
        emit(
            &mut body,
            &[I::LocalGet(2), I::MemoryCopy { src_mem, dst_mem }, I::End],
        );
        body
    }
}
