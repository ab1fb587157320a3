//! A pattern as nondeterministic automata, and their simulation: each character of a text is looked at once
//! by each state, so the time is at most their product, and it is counted.
//!
//! An assertion that looks ahead holds where its automaton, run from the text's end backwards, has a match
//! that begins there; one that looks behind, where its automaton has a match that ends there (Barrière and
//! Pit-Claudel, "Linear Matching of JavaScript Regular Expressions", PLDI 2024). One pass finds all of
//! these positions, inner assertions first.

use std::collections::HashMap;

use regex_syntax::hir::ClassUnicode;

use super::pattern::{Assert, Node, TOO_LARGE};
use super::work::{Stop, Work};

/// Bytes that the tables of one match's assertions may take together.
const TABLES: usize = 32 << 20;

/// A pattern's automata.
#[derive(Debug, Default)]
pub(super) struct Program {
    classes: Vec<CharClass>,
    known: HashMap<Vec<(char, char)>, u32>,
    /// The assertions, inner ones first.
    pub looks: Vec<Nfa>,
    pub main: Nfa,
    pub is_anchored: bool,
}

/// The characters of a class, with the ASCII ones in a bit each.
#[derive(Debug)]
struct CharClass {
    ascii: u128,
    ranges: Vec<(char, char)>,
}

impl CharClass {
    fn contains(&self, letter: char) -> bool {
        if letter.is_ascii() {
            return self.ascii >> (letter as u32) & 1 == 1;
        }
        let at = self.ranges.partition_point(|(_, high)| *high < letter);
        self.ranges.get(at).is_some_and(|(low, _)| *low <= letter)
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Match,
    Class { class: u32, next: u32 },
    Split(u32, u32),
    Assert { assert: Assert, next: u32 },
}

/// One automaton.
#[derive(Debug, Default)]
pub(super) struct Nfa {
    states: Vec<State>,
    start: u32,
    is_backward: bool,
}

/// The way in which an automaton passes over a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

impl Program {
    /// The number of a class.
    pub fn class(&mut self, class: &ClassUnicode) -> u32 {
        let ranges: Vec<_> = class
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect();
        if let Some(known) = self.known.get(&ranges) {
            return *known;
        }
        let mut ascii = 0;
        for letter in 0..128_u8 {
            let is_in = |(low, high): &(char, char)| (*low..=*high).contains(&char::from(letter));
            if ranges.iter().any(is_in) {
                ascii |= 1 << letter;
            }
        }
        let number = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.known.insert(ranges.clone(), number);
        self.classes.push(CharClass { ascii, ranges });
        number
    }

    /// True if the main automaton matches anywhere in the text.
    pub fn is_match(&self, text: &str, work: &mut Work) -> Result<bool, Stop> {
        let words = text.len() / 64 + 1;
        if self.looks.len().saturating_mul(words * 8) > TABLES {
            return Err(Stop::TooMuch);
        }
        let mut tables: Vec<Vec<u64>> = Vec::with_capacity(self.looks.len());
        for look in &self.looks {
            work.spend(words as u64)?;
            let mut table = vec![0; words];
            self.run(look, text, &tables, work, &mut |at| {
                if let Some(word) = table.get_mut(at / 64) {
                    *word |= 1 << (at % 64);
                }
                false
            })?;
            tables.push(table);
        }
        let mut found = false;
        self.run(&self.main, text, &tables, work, &mut |_| {
            found = true;
            true
        })?;
        Ok(found)
    }

    /// Passes over a text and tells each position where the automaton matches, until `matched` is true.
    fn run(
        &self,
        nfa: &Nfa,
        text: &str,
        tables: &[Vec<u64>],
        work: &mut Work,
        matched: &mut dyn FnMut(usize) -> bool,
    ) -> Result<(), Stop> {
        let is_main = std::ptr::eq(nfa, &self.main);
        let mut threads = Threads::new(nfa.states.len());
        work.spend(nfa.states.len() as u64)?;
        let mut at = if nfa.is_backward { text.len() } else { 0 };
        let mut is_first = true;
        loop {
            if is_first || !(is_main && self.is_anchored) {
                threads.enter(nfa, nfa.start, text, at, tables, work)?;
            }
            is_first = false;
            if threads.has_matched && matched(at) {
                return Ok(());
            }
            let letter = match nfa.is_backward {
                true => text.get(..at).and_then(|before| before.chars().next_back()),
                false => text.get(at..).and_then(|after| after.chars().next()),
            };
            let Some(letter) = letter else {
                return Ok(());
            };
            if threads.now.is_empty() && is_main && self.is_anchored {
                return Ok(());
            }
            at = match nfa.is_backward {
                true => at - letter.len_utf8(),
                false => at + letter.len_utf8(),
            };
            work.spend(1 + threads.now.len() as u64)?;
            let passed = std::mem::take(&mut threads.now);
            threads.next_position();
            for state in &passed {
                if let Some(State::Class { class, next }) = nfa.states.get(*state as usize)
                    && self
                        .classes
                        .get(*class as usize)
                        .is_some_and(|class| class.contains(letter))
                {
                    threads.enter(nfa, *next, text, at, tables, work)?;
                }
            }
            threads.spare = passed;
        }
    }
}

/// The states that an automaton is in.
struct Threads {
    /// Those that wait for a character.
    now: Vec<u32>,
    has_matched: bool,
    /// The generation in which each state was entered last.
    entered: Vec<u32>,
    generation: u32,
    pending: Vec<u32>,
    /// A list to use again.
    spare: Vec<u32>,
}

impl Threads {
    fn new(states: usize) -> Self {
        Self {
            now: Vec::new(),
            has_matched: false,
            entered: vec![0; states],
            generation: 1,
            pending: Vec::new(),
            spare: Vec::new(),
        }
    }

    fn next_position(&mut self) {
        self.now = std::mem::take(&mut self.spare);
        self.now.clear();
        self.has_matched = false;
        self.generation = match self.generation.checked_add(1) {
            Some(next) => next,
            None => {
                self.entered.fill(0);
                1
            }
        };
    }

    /// Enters a state and all that can be reached from it without a character.
    fn enter(
        &mut self,
        nfa: &Nfa,
        state: u32,
        text: &str,
        at: usize,
        tables: &[Vec<u64>],
        work: &mut Work,
    ) -> Result<(), Stop> {
        self.pending.push(state);
        while let Some(state) = self.pending.pop() {
            work.spend(1)?;
            let Some(entered) = self.entered.get_mut(state as usize) else {
                continue;
            };
            if std::mem::replace(entered, self.generation) == self.generation {
                continue;
            }
            match nfa.states.get(state as usize) {
                None => {}
                Some(State::Match) => self.has_matched = true,
                Some(State::Class { .. }) => self.now.push(state),
                Some(State::Split(one, other)) => self.pending.extend([*other, *one]),
                Some(State::Assert { assert, next }) if holds(*assert, text, at, tables) => {
                    self.pending.push(*next);
                }
                Some(State::Assert { .. }) => {}
            }
        }
        Ok(())
    }
}

fn holds(assert: Assert, text: &str, at: usize, tables: &[Vec<u64>]) -> bool {
    let bytes = text.as_bytes();
    let is_word = |at: Option<usize>| {
        let byte = at.and_then(|at| bytes.get(at));
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let is_line_end = |letter: Option<char>| {
        letter.is_none_or(|letter| matches!(letter, '\n' | '\r' | '\u{2028}' | '\u{2029}'))
    };
    match assert {
        Assert::Start => at == 0,
        Assert::End => at == text.len(),
        Assert::LineStart => is_line_end(text.get(..at).and_then(|text| text.chars().next_back())),
        Assert::LineEnd => is_line_end(text.get(at..).and_then(|text| text.chars().next())),
        Assert::WordBoundary => is_word(at.checked_sub(1)) != is_word(Some(at)),
        Assert::NoWordBoundary => is_word(at.checked_sub(1)) == is_word(Some(at)),
        Assert::Look { index, negated } => {
            let word = tables
                .get(index as usize)
                .and_then(|table| table.get(at / 64));
            word.is_some_and(|word| word >> (at % 64) & 1 == 1) != negated
        }
    }
}

impl Nfa {
    /// The automaton of a node. `budget` is how many states it may have, and is reduced by what it has.
    pub fn compile(node: &Node, direction: Direction, budget: &mut usize) -> Result<Self, String> {
        let is_backward = direction == Direction::Backward;
        let mut compiler = Compiler {
            states: vec![State::Match],
            is_backward,
            budget,
        };
        let start = compiler.add(node, 0)?;
        Ok(Self {
            states: compiler.states,
            start,
            is_backward,
        })
    }
}

struct Compiler<'b> {
    states: Vec<State>,
    is_backward: bool,
    budget: &'b mut usize,
}

impl Compiler<'_> {
    fn push(&mut self, state: State) -> u32 {
        self.states.push(state);
        u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a node that goes on to `next`, and gives its first state. Each node counts, also one that needs
    /// no state: `((){9999}){9999}` is work as well.
    fn add(&mut self, node: &Node, next: u32) -> Result<u32, String> {
        *self.budget = self.budget.checked_sub(1).ok_or(TOO_LARGE)?;
        Ok(match node {
            Node::Empty => next,
            Node::Class(class) => self.push(State::Class {
                class: *class,
                next,
            }),
            Node::Assert(assert) => self.push(State::Assert {
                assert: *assert,
                next,
            }),
            Node::Sequence(nodes) => {
                let mut next = next;
                // The last is added first.
                let mut order: Vec<&Node> = nodes.iter().collect();
                if !self.is_backward {
                    order.reverse();
                }
                for node in order {
                    next = self.add(node, next)?;
                }
                next
            }
            Node::Alternatives(nodes) => {
                let mut start: Option<u32> = None;
                for node in nodes.iter().rev() {
                    let first = self.add(node, next)?;
                    start = Some(match start {
                        None => first,
                        Some(others) => self.push(State::Split(first, others)),
                    });
                }
                start.unwrap_or(next)
            }
            Node::Repeat { node, least, most } => {
                let mut start = next;
                match most {
                    None => {
                        let again = self.push(State::Split(next, next));
                        let first = self.add(node, again)?;
                        if let Some(state) = self.states.get_mut(again as usize) {
                            *state = State::Split(first, next);
                        }
                        start = again;
                    }
                    Some(most) => {
                        for _ in *least..*most {
                            let first = self.add(node, start)?;
                            start = self.push(State::Split(first, next));
                        }
                    }
                }
                for _ in 0..*least {
                    start = self.add(node, start)?;
                }
                start
            }
        })
    }
}
