//! A whole number with a unit: what sizes and durations have in common.

use super::FormatError;

/// One kind of quantity: its units and the words for its messages.
pub(super) struct Kind {
    /// With its article: "a size".
    pub noun: &'static str,
    /// The text to write instead, as a clause.
    pub help: &'static str,
    /// Each unit's spelling and how many base units it holds, largest first.
    pub units: &'static [(&'static str, u64)],
    /// The unit that zero is written in.
    pub zero: &'static str,
    /// True if `kib` means `KiB`.
    pub ignore_case: bool,
}

impl Kind {
    /// Parses `<digits> <unit>` into base units; blanks around either are allowed.
    pub fn parse(&self, text: &str) -> Result<u64, FormatError> {
        let shown = text.escape_debug();
        let trimmed = text.trim();
        let after_digits = trimmed.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &trimmed[..trimmed.len() - after_digits.len()];
        let unit = after_digits.trim_start();

        let problem = if trimmed.is_empty() {
            format!("{} is missing", self.noun)
        } else if trimmed.starts_with('-') {
            format!("{} can't be negative", self.noun)
        } else if number.is_empty() {
            format!("`{shown}` is not {}", self.noun)
        } else if unit.is_empty() {
            format!("`{shown}` has no unit")
        } else if unit.starts_with(['.', ',']) {
            format!("`{shown}` is not a whole number")
        } else if let Some(factor) = self.factor(unit) {
            match number
                .parse::<u64>()
                .ok()
                .and_then(|n| n.checked_mul(factor))
            {
                Some(value) => return Ok(value),
                None => format!("`{shown}` is too large"),
            }
        } else {
            format!("`{}` is not a unit", unit.escape_debug())
        };
        Err(FormatError::new(problem, self.help))
    }

    fn factor(&self, unit: &str) -> Option<u64> {
        self.units
            .iter()
            .find(|(name, _)| *name == unit || self.ignore_case && name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
    }

    /// The shortest text that parses back to exactly `value`; the larger unit wins a tie.
    pub fn shortest(&self, value: u64) -> String {
        if value == 0 {
            return format!("0{}", self.zero);
        }
        self.units
            .iter()
            .filter(|(_, factor)| value.is_multiple_of(*factor))
            .map(|(name, factor)| format!("{}{name}", value / factor))
            .min_by_key(String::len)
            .unwrap_or_default()
    }
}
