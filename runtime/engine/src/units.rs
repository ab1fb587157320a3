//! Sizes as the configuration spells them.

/// The size in the largest binary unit that divides it: `2MiB`, `1500 bytes`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS
        .into_iter()
        .find(|(_, shift)| size > 0 && size.trailing_zeros() >= *shift);
    match unit {
        Some((unit, shift)) => format!("{}{unit}", size >> shift),
        None if size == 1 => "1 byte".to_owned(),
        None => format!("{size} bytes"),
    }
}

/// The text, or its beginning with `…` where it is longer than `most` bytes.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    match text.len() > most {
        true => format!("{}…", &text[..text.floor_char_boundary(most)]),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, clipped};

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(clipped("aé", 3), "aé");
        assert_eq!(clipped("aéé", 4), "aé…");
    }

    #[test]
    fn a_size_has_the_largest_unit_that_divides_it() {
        for (size, written) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1000, "1000 bytes"),
            (1024, "1KiB"),
            (1536, "1536 bytes"),
            (2 << 20, "2MiB"),
            (1536 << 10, "1536KiB"),
            (64 << 30, "64GiB"),
            (1 << 40, "1TiB"),
        ] {
            assert_eq!(bytes(size), written);
        }
    }
}
