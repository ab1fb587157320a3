//! [`Ratio`]: a part of a whole.

use std::fmt;
use std::str::FromStr;

use super::{FormatError, written_as_text};

/// A part of a whole, from none to all of it, written `"0.1"` or `"10%"`. Kept in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

const WHOLE: u32 = 1_000_000;

impl Ratio {
    /// All of it.
    pub const ALL: Self = Self(WHOLE);

    /// From 0 to 1.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(formatter)
    }
}

impl FromStr for Ratio {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let trimmed = text.trim();
        let (number, divisor) = match trimmed.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (trimmed, 1.0),
        };
        // `inf`, `NaN` and `1e3` are numbers to the parser.
        let is_plain = number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let part = number.parse::<f64>().ok().filter(|_| is_plain);
        match part.map(|part| part / divisor) {
            Some(part) if (0.0..=1.0).contains(&part) => {
                // Between 0 and a million, as checked.
                Ok(Self((part * f64::from(WHOLE)).round() as u32))
            }
            _ => Err(FormatError::new(
                format!("`{}` is no part of a whole", text.escape_debug()),
                "write \"0.1\" or \"10%\" for a tenth, \"1\" for all",
            )),
        }
    }
}

written_as_text!(Ratio, "ratio");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_fraction_or_a_percentage() {
        for (text, shown) in [
            ("1", "1"),
            ("0", "0"),
            ("1.0", "1"),
            ("0.25", "0.25"),
            (" 25 % ", "0.25"),
            ("0.000001", "0.000001"),
        ] {
            assert_eq!(
                text.parse::<Ratio>()
                    .map(|ratio| ratio.to_string())
                    .as_deref(),
                Ok(shown)
            );
        }
        for text in [
            "", "%", "1.1", "101%", "-1", "1e-3", "inf", "NaN", "half", "1.2.3",
        ] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }
}
