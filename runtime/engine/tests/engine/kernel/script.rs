//! Random scripts of kernel calls, with offsets that mean harm.

use proptest::prelude::*;

/// Steps of one script.
const STEPS: usize = 120;
/// The largest blocks that are stored into; all of them together fit into a sandbox.
const MOST_LIVE: u64 = 200_000;

/// The function that a step calls; the numbers are those of `driver.wat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Alloc = 0,
    Free = 1,
    Length = 2,
    LoadByte = 3,
    LoadWord = 4,
    StoreByte = 5,
    StoreWord = 6,
    InputByte = 7,
    InputWord = 8,
    Reset = 9,
    InputSet = 10,
    InputLength = 11,
    OutputSet = 12,
    OutputOffset = 13,
    OutputLength = 14,
    ErrorSet = 15,
    ErrorGet = 16,
}

/// Where a step's offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Number(u64),
    /// The result of the step with this number.
    Step(usize),
    MemoryEnd,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub operation: Operation,
    pub base: Base,
    pub delta: u64,
    pub operand: u64,
}

impl Step {
    /// The step as `driver.wat` reads it.
    pub fn encode(&self) -> [u64; 5] {
        let (kind, base) = match self.base {
            Base::Number(number) => (0, number),
            Base::Step(step) => (1, step as u64),
            Base::MemoryEnd => (2, 0),
        };
        [self.operation as u64, kind, base, self.delta, self.operand]
    }
}

/// Scripts in which every store goes into a block that is live, or where there is no heap.
///
/// A store into a block's header would be the guest forging its own bookkeeping, after which the model
/// has nothing to say: those are in [`forging`].
pub fn disciplined() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..STEPS).prop_map(keep_stores_in_blocks)
}

/// Scripts that store anywhere, the kernel's own bookkeeping included.
pub fn forging() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..STEPS)
}

fn step() -> impl Strategy<Value = Step> {
    use Operation::*;
    let operation = prop_oneof![
        6 => Just(Alloc), 4 => Just(Free), 4 => Just(Length), 3 => Just(LoadByte), 3 => Just(LoadWord),
        4 => Just(StoreByte), 4 => Just(StoreWord), 1 => Just(InputByte), 1 => Just(InputWord),
        1 => Just(InputSet), 1 => Just(InputLength), 1 => Just(OutputSet), 1 => Just(OutputOffset),
        1 => Just(OutputLength), 1 => Just(ErrorSet), 1 => Just(ErrorGet),
    ];
    // Rarely, or nothing would live long.
    let operation = prop_oneof![60 => operation, 1 => Just(Reset)];
    (operation, base(), delta(), operand()).prop_map(|(operation, base, delta, operand)| Step {
        operation,
        base,
        delta,
        operand,
    })
}

fn base() -> impl Strategy<Value = Base> {
    prop_oneof![
        8 => (0..STEPS).prop_map(Base::Step),
        2 => prop_oneof![Just(0), Just(1), Just(63), 155u64..180, Just(u64::MAX), Just(u64::MAX - 7), any::<u64>()]
            .prop_map(Base::Number),
        1 => ((1u64 << 32) - 20..(1 << 32) + 400).prop_map(Base::Number),
        2 => Just(Base::MemoryEnd),
    ]
}

fn delta() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => Just(0u64),
        2 => 1u64..64,
        2 => (1u64..24).prop_map(u64::wrapping_neg),
        1 => Just(1 << 32),
    ]
}

/// A size, a length, a place in the input, or a value.
fn operand() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0u64..300,
        3 => 300u64..9000,
        1 => 60_000u64..200_000,
        1 => prop_oneof![Just(0xFFFF_0000), Just(0xFFFF_0001), Just(1 << 32), Just(u64::MAX), any::<u64>()],
    ]
}

/// Moves each store into a block that is certainly live, or to where there is nothing.
fn keep_stores_in_blocks(mut script: Vec<Step>) -> Vec<Step> {
    // Blocks small enough that they are never refused, by step, with their sizes.
    let mut live: Vec<(usize, u64)> = Vec::new();
    for (number, step) in script.iter_mut().enumerate() {
        match step.operation {
            Operation::Alloc if (8..=MOST_LIVE).contains(&step.operand) => {
                live.push((number, step.operand))
            }
            Operation::Reset => live.clear(),
            Operation::Free => match step.base {
                Base::Step(freed)
                    if step.delta == 0 && live.iter().any(|(alive, _)| *alive == freed) =>
                {
                    live.retain(|(alive, _)| *alive != freed);
                }
                // Any other freed address is no block: blocks begin at multiples of 16.
                _ => {
                    if let Base::Number(number) = &mut step.base {
                        *number &= !1;
                    }
                    step.delta |= 1;
                }
            },
            Operation::StoreByte | Operation::StoreWord => {
                match live.get(step.operand as usize % live.len().max(1)) {
                    Some((block, size)) if step.base != Base::MemoryEnd => {
                        let width = if step.operation == Operation::StoreByte {
                            1
                        } else {
                            8
                        };
                        step.base = Base::Step(*block);
                        step.delta %= size - width + 1;
                    }
                    _ => {
                        step.base = Base::MemoryEnd;
                        step.delta &= 0xff;
                    }
                }
            }
            _ => {}
        }
    }
    script
}
