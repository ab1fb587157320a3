//! [`Pattern`]: a regular expression of ECMA-262, as JSON Schema has them, matched in linear time.
//!
//! It is read here and not by a library, because libraries of linear time take another dialect (`[\w-.]`,
//! `[^]`, `\/`, ASCII classes) and no assertions that look ahead or behind, of which real schemas have many
//! (zod's e-mail addresses and durations). Those need no backtracking: where one holds is found for all
//! positions in one pass over the text. A backreference does need it, and is refused.
//!
//! Texts are sequences of code points, as with ECMA-262's flag `u`, which JSON Schema asks for.

use std::iter::Peekable;
use std::str::Chars;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::nfa::{Direction, Nfa, Program};
use super::work::{Stop, Work};

/// Groups that may lie in each other.
const DEEPEST: usize = 100;
/// Assertions that look ahead or behind.
const MOST_LOOKS: usize = 100;
/// Bytes of a pattern.
const LONGEST: usize = 64 << 10;
pub(super) const TOO_LARGE: &str =
    "its repetitions, written out, are larger than what the patterns of a plugin may be together";

/// A pattern ready to match.
#[derive(Debug)]
pub struct Pattern(Program);

impl Pattern {
    /// Reads a pattern. `budget` is the number of states that it may have, and is reduced by what it has.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub fn new(text: &str, budget: &mut usize) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        let mut parser = Parser {
            rest: text.chars().peekable(),
            has_named_groups: text.contains("(?<") || text.contains("(?P<"),
            depth: 0,
            flags: Flags::default(),
            program: Program::default(),
            budget,
        };
        let node = parser.alternatives()?;
        if parser.rest.peek().is_some() {
            return Err("it has a `)` too many".to_owned());
        }
        let main = Nfa::compile(&node, Direction::Forward, parser.budget)?;
        let mut program = parser.program;
        program.is_anchored = is_anchored(&node);
        program.main = main;
        Ok(Self(program))
    }

    /// True if the pattern matches anywhere in the text.
    ///
    /// # Errors
    /// If that is more work than is left.
    pub fn is_match(&self, text: &str, work: &mut Work) -> Result<bool, Stop> {
        self.0.is_match(text, work)
    }
}

/// A part of a pattern. What is captured does not matter here, nor which match comes first.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Empty,
    /// One character of a class of the program.
    Class(u32),
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
    },
    Assert(Assert),
}

/// A condition on a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assert {
    Start,
    End,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
    /// Holds where the program's assertion of this number does, or does not.
    Look {
        index: u32,
        negated: bool,
    },
}

/// True if every match begins at the text's start.
fn is_anchored(node: &Node) -> bool {
    match node {
        Node::Assert(assert) => *assert == Assert::Start,
        Node::Sequence(nodes) => nodes.first().is_some_and(is_anchored),
        Node::Alternatives(nodes) => nodes.iter().all(is_anchored),
        _ => false,
    }
}

/// Flags as other dialects have them at a pattern's start, `(?i)`, and ES2025 for a group, `(?i:…)`.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    ignore_case: bool,
    dot_all: bool,
    multi_line: bool,
}

struct Parser<'t, 'b> {
    rest: Peekable<Chars<'t>>,
    has_named_groups: bool,
    depth: usize,
    flags: Flags,
    program: Program,
    budget: &'b mut usize,
}

impl Parser<'_, '_> {
    fn eat(&mut self, expected: char) -> bool {
        self.rest.next_if_eq(&expected).is_some()
    }

    /// Takes this text if it comes next.
    fn eat_all(&mut self, expected: &str) -> bool {
        let mut ahead = self.rest.clone();
        if expected.chars().all(|letter| ahead.next() == Some(letter)) {
            self.rest = ahead;
            return true;
        }
        false
    }

    /// Alternatives up to a `)` or the end. Flags that are set within them end with them.
    fn alternatives(&mut self) -> Result<Node, String> {
        let flags = self.flags;
        let mut all = vec![self.sequence()?];
        while self.eat('|') {
            all.push(self.sequence()?);
        }
        self.flags = flags;
        Ok(match all.len() {
            1 => all.remove(0),
            _ => Node::Alternatives(all),
        })
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Sequence(nodes),
        })
    }

    fn atom(&mut self) -> Result<Node, String> {
        Ok(match self.rest.next() {
            None => Node::Empty,
            Some('^') => Node::Assert(match self.flags.multi_line {
                true => Assert::LineStart,
                false => Assert::Start,
            }),
            Some('$') => Node::Assert(match self.flags.multi_line {
                true => Assert::LineEnd,
                false => Assert::End,
            }),
            Some('.') => {
                let mut class = match self.flags.dot_all {
                    true => ClassUnicode::empty(),
                    false => ranges(LINE_ENDS),
                };
                class.negate();
                self.class_node(class)?
            }
            Some('(') => self.group()?,
            Some('[') => {
                let class = self.class()?;
                self.class_node(class)?
            }
            Some('\\') => self.escape()?,
            Some(letter @ ('*' | '+' | '?')) => {
                return Err(format!("`{letter}` has nothing to repeat"));
            }
            Some(letter) => self.literal(letter)?,
        })
    }

    fn literal(&mut self, letter: char) -> Result<Node, String> {
        self.class_node(ranges(&[(letter, letter)]))
    }

    fn class_node(&mut self, mut class: ClassUnicode) -> Result<Node, String> {
        // A class of many ranges takes as much memory as some states.
        let size = class.ranges().len() / 8;
        *self.budget = self.budget.checked_sub(size).ok_or(TOO_LARGE)?;
        if self.flags.ignore_case {
            // Fails only where the tables of cases are left out.
            let _ = class.try_case_fold_simple();
        }
        Ok(Node::Class(self.program.class(&class)))
    }

    fn group(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!(
                "its groups lie deeper than {DEEPEST} in each other"
            ));
        }
        let look = |behind, negated| Some((behind, negated));
        let mut flags = self.flags;
        let looks = if !self.eat('?') || self.eat(':') {
            None
        } else if self.eat('=') {
            look(false, false)
        } else if self.eat('!') {
            look(false, true)
        } else if self.eat_all("<=") {
            look(true, false)
        } else if self.eat_all("<!") {
            look(true, true)
        } else if self.eat('<') || self.eat_all("P<") {
            self.name()?;
            None
        } else if self.eat('>') {
            return Err("it has an atomic group, `(?>`".to_owned());
        } else {
            flags = self.group_flags()?;
            if self.eat(')') {
                // They hold for what follows in the group around.
                self.flags = flags;
                self.depth -= 1;
                return Ok(Node::Empty);
            }
            if !self.eat(':') {
                return Err("it has a group of an unknown kind, `(?…`".to_owned());
            }
            None
        };
        let around = std::mem::replace(&mut self.flags, flags);
        let node = self.alternatives()?;
        self.flags = around;
        if !self.eat(')') {
            return Err("a `)` is missing".to_owned());
        }
        self.depth -= 1;
        let Some((behind, negated)) = looks else {
            return Ok(node);
        };
        if self.program.looks.len() >= MOST_LOOKS {
            return Err(format!(
                "it looks ahead or behind more than {MOST_LOOKS} times"
            ));
        }
        // Ahead is found from the end on, so that one pass knows it for all positions.
        let direction = match behind {
            true => Direction::Forward,
            false => Direction::Backward,
        };
        let nfa = Nfa::compile(&node, direction, self.budget)?;
        let index = u32::try_from(self.program.looks.len()).unwrap_or(u32::MAX);
        self.program.looks.push(nfa);
        Ok(Node::Assert(Assert::Look { index, negated }))
    }

    fn name(&mut self) -> Result<(), String> {
        let mut length = 0;
        loop {
            match self.rest.next() {
                Some('>') if length > 0 => return Ok(()),
                Some(letter) if letter.is_alphanumeric() || matches!(letter, '_' | '$') => {
                    length += 1;
                }
                _ => return Err("a group has no valid name".to_owned()),
            }
        }
    }

    fn group_flags(&mut self) -> Result<Flags, String> {
        let mut flags = self.flags;
        let mut on = true;
        while let Some(letter) = self.rest.next_if(|letter| !matches!(letter, ':' | ')')) {
            match letter {
                '-' if on => on = false,
                'i' => flags.ignore_case = on,
                's' => flags.dot_all = on,
                'm' => flags.multi_line = on,
                'u' if on => {}
                _ => return Err(format!("it has a group of an unknown kind, `(?{letter}`")),
            }
        }
        Ok(flags)
    }

    /// The quantifier that follows `node`.
    fn repeated(&mut self, node: Node) -> Result<Node, String> {
        let Some((least, most)) = self.quantifier() else {
            return Ok(node);
        };
        if most.is_some_and(|most| most < least) {
            return Err(format!(
                "`{{{least},{}}}` is no range",
                most.unwrap_or_default()
            ));
        }
        // Lazy or not, the same texts match.
        if !self.eat('?') && self.rest.peek() == Some(&'+') {
            return Err("it has a possessive quantifier, such as `*+`".to_owned());
        }
        if matches!(self.rest.peek(), Some('*' | '+' | '?')) {
            return Err("one quantifier follows another".to_owned());
        }
        Ok(Node::Repeat {
            node: Box::new(node),
            least,
            most,
        })
    }

    fn quantifier(&mut self) -> Option<(u32, Option<u32>)> {
        let bounds = match self.rest.peek()? {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            '{' => return self.counted(),
            _ => return None,
        };
        self.rest.next();
        Some(bounds)
    }

    /// `{n}`, `{n,}` or `{n,m}`; anything else that begins so is a plain `{`, as in browsers.
    fn counted(&mut self) -> Option<(u32, Option<u32>)> {
        let mut ahead = self.rest.clone();
        let number = |ahead: &mut Peekable<Chars<'_>>| {
            let mut number = None;
            while let Some(digit) = ahead.peek().and_then(|letter| letter.to_digit(10)) {
                number = Some(
                    number
                        .unwrap_or(0_u32)
                        .saturating_mul(10)
                        .saturating_add(digit),
                );
                ahead.next();
            }
            number
        };
        ahead.next();
        let least = number(&mut ahead)?;
        let most = match ahead.next()? {
            '}' => {
                self.rest = ahead;
                return Some((least, Some(least)));
            }
            ',' => number(&mut ahead),
            _ => return None,
        };
        if ahead.next()? != '}' {
            return None;
        }
        self.rest = ahead;
        Some((least, most))
    }

    fn escape(&mut self) -> Result<Node, String> {
        let Some(letter) = self.rest.next() else {
            return Err("it ends with a `\\`".to_owned());
        };
        Ok(match letter {
            'b' => Node::Assert(Assert::WordBoundary),
            'B' => Node::Assert(Assert::NoWordBoundary),
            // Of Perl, Python and Rust; whoever writes them means them.
            'A' => Node::Assert(Assert::Start),
            'z' | 'Z' => Node::Assert(Assert::End),
            '1'..='9' => {
                return Err(format!(
                    "it has the backreference `\\{letter}`, which takes exponential time to match"
                ));
            }
            'k' if self.has_named_groups => {
                return Err(
                    "it has a backreference, `\\k<…>`, which takes exponential time to match"
                        .to_owned(),
                );
            }
            _ => match self.escaped_class(letter)? {
                Some(class) => self.class_node(class)?,
                None => match self.escaped_character(letter)? {
                    Some(letter) => self.literal(letter)?,
                    // Half of a surrogate pair, which no text has.
                    None => self.class_node(ClassUnicode::empty())?,
                },
            },
        })
    }

    /// The class that an escape such as `\d` or `\p{L}` stands for.
    fn escaped_class(&mut self, letter: char) -> Result<Option<ClassUnicode>, String> {
        let mut class = match letter.to_ascii_lowercase() {
            'd' => ranges(&[('0', '9')]),
            'w' => ranges(WORD),
            's' => ranges(SPACE),
            'p' if self.rest.peek() == Some(&'{') => self.property()?,
            _ => return Ok(None),
        };
        if letter.is_ascii_uppercase() {
            class.negate();
        }
        Ok(Some(class))
    }

    fn property(&mut self) -> Result<ClassUnicode, String> {
        let mut name = String::new();
        self.rest.next();
        while let Some(letter) = self.rest.next_if(|letter| *letter != '}') {
            name.push(letter);
        }
        let unknown = || format!("there is no Unicode property `{name}`");
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '=');
        if !self.eat('}') || !name.chars().all(is_name) {
            return Err(unknown());
        }
        let parsed = regex_syntax::parse(&format!("\\p{{{name}}}")).map_err(|_| unknown())?;
        match parsed.into_kind() {
            HirKind::Class(Class::Unicode(class)) => Ok(class),
            // A property of one character.
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| unknown())?;
                let all: Vec<_> = text.chars().map(|letter| (letter, letter)).collect();
                Ok(ranges(&all))
            }
            _ => Err(unknown()),
        }
    }

    /// The character that an escape stands for; `None` for half of a surrogate pair.
    fn escaped_character(&mut self, letter: char) -> Result<Option<char>, String> {
        Ok(Some(match letter {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'f' => '\u{c}',
            '0' if !matches!(self.rest.peek(), Some('0'..='9')) => '\0',
            '0' => return Err("it has an octal escape, `\\0…`".to_owned()),
            'c' => match self.rest.next_if(char::is_ascii_alphabetic) {
                Some(letter) => char::from(letter as u8 & 0x1f),
                None => return Err("`\\c` wants a letter".to_owned()),
            },
            'x' => self.hexadecimal(2).and_then(char::from_u32).unwrap_or('x'),
            'u' => return self.unicode(),
            // Everything else stands for itself.
            _ => letter,
        }))
    }

    /// This many hexadecimal digits.
    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let mut ahead = self.rest.clone();
        let mut number = 0;
        for _ in 0..digits {
            number = number * 16 + ahead.next()?.to_digit(16)?;
        }
        self.rest = ahead;
        Some(number)
    }

    fn unicode(&mut self) -> Result<Option<char>, String> {
        if self.rest.peek() == Some(&'{') {
            let mut ahead = self.rest.clone();
            ahead.next();
            let mut digits = String::new();
            while let Some(letter) = ahead.next_if(|letter| *letter != '}' && digits.len() < 8) {
                digits.push(letter);
            }
            let number = u32::from_str_radix(&digits, 16).ok();
            return match (number.filter(|number| *number <= 0x10_ffff), ahead.next()) {
                (Some(number), Some('}')) => {
                    self.rest = ahead;
                    Ok(char::from_u32(number))
                }
                _ => Err("`\\u{…}` names no character".to_owned()),
            };
        }
        let Some(unit) = self.hexadecimal(4) else {
            return Ok(Some('u'));
        };
        if (0xd800..0xdc00).contains(&unit) {
            let before = self.rest.clone();
            if self.eat_all("\\u")
                && let Some(low) = self.hexadecimal(4)
                && (0xdc00..0xe000).contains(&low)
            {
                return Ok(char::from_u32(
                    0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00),
                ));
            }
            self.rest = before;
        }
        Ok(char::from_u32(unit))
    }

    /// A class, after its `[`.
    fn class(&mut self) -> Result<ClassUnicode, String> {
        let negated = self.eat('^');
        let mut class = ClassUnicode::empty();
        loop {
            let low = match self.class_item()? {
                None => break,
                Some(item) => item,
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && !matches!(ahead.peek(), Some(']') | None);
            if !is_range {
                low.add_to(&mut class);
                continue;
            }
            self.rest = ahead;
            let Some(high) = self.class_item()? else {
                return Err("a `]` is missing".to_owned());
            };
            match (low, high) {
                (Item::Character(low), Item::Character(high)) if low > high => {
                    return Err(format!("`{low}-{high}` is no range"));
                }
                (Item::Character(low), Item::Character(high)) => {
                    class.push(ClassUnicodeRange::new(low, high));
                }
                // As in `[\w-.]`: the `-` is one of the characters.
                (low, high) => {
                    low.add_to(&mut class);
                    high.add_to(&mut class);
                    class.push(ClassUnicodeRange::new('-', '-'));
                }
            }
        }
        if self.flags.ignore_case {
            let _ = class.try_case_fold_simple();
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// The next of a class, or `None` at its end.
    fn class_item(&mut self) -> Result<Option<Item>, String> {
        let letter = match self.rest.next() {
            None => return Err("a `]` is missing".to_owned()),
            Some(']') => return Ok(None),
            Some('\\') => match self.rest.next() {
                None => return Err("it ends with a `\\`".to_owned()),
                Some('b') => '\u{8}',
                Some(letter) => match self.escaped_class(letter)? {
                    Some(class) => return Ok(Some(Item::Class(class))),
                    None => match self.escaped_character(letter)? {
                        Some(letter) => letter,
                        None => return Ok(Some(Item::Class(ClassUnicode::empty()))),
                    },
                },
            },
            Some(letter) => letter,
        };
        Ok(Some(Item::Character(letter)))
    }
}

enum Item {
    Character(char),
    Class(ClassUnicode),
}

impl Item {
    fn add_to(self, class: &mut ClassUnicode) {
        match self {
            Self::Character(letter) => class.push(ClassUnicodeRange::new(letter, letter)),
            Self::Class(more) => class.union(&more),
        }
    }
}

fn ranges(all: &[(char, char)]) -> ClassUnicode {
    let all = all.iter();
    ClassUnicode::new(all.map(|(low, high)| ClassUnicodeRange::new(*low, *high)))
}

const LINE_ENDS: &[(char, char)] = &[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];
/// ECMA-262's WhiteSpace and LineTerminator.
const SPACE: &[(char, char)] = &[
    ('\t', '\r'),
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
    ('\u{feff}', '\u{feff}'),
];
