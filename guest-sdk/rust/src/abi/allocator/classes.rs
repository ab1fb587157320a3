//! Size classes: every 16 bytes up to 128, then four to each doubling.

/// The number of classes.
pub const CLASSES: usize = 104;

/// The longest block: half of what 32 bits can address.
const LONGEST: usize = 1 << 31;

/// The smallest class that holds `size` bytes; `None` if there is none.
pub const fn class_of(size: usize) -> Option<usize> {
    if size <= 128 {
        return Some(size.saturating_sub(1) / 16);
    }
    if size > LONGEST {
        return None;
    }
    let last = size - 1;
    let doubling = last.ilog2() as usize;
    let quarter = last >> (doubling - 2) & 3;
    Some(8 + (doubling - 7) * 4 + quarter)
}

/// The block size of the class, in bytes.
pub const fn class_size(class: usize) -> usize {
    if class < 8 {
        return 16 * (class + 1);
    }
    let (doubling, quarter) = (7 + (class - 8) / 4, (class - 8) % 4);
    (5 + quarter) << (doubling - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_sizes_and_wastes_at_most_a_quarter() {
        for size in (1..=5000)
            .chain((12..31).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]))
        {
            let class = class_of(size).unwrap();
            assert!(class_size(class) >= size, "{size}");
            assert!(class == 0 || class_size(class - 1) < size, "{size}");
            assert!(size <= 128 || class_size(class) - size < size / 4, "{size}");
            assert_eq!(class_size(class) % 16, 0, "{size}");
        }
    }

    #[test]
    fn the_longest_block_has_the_last_class() {
        assert_eq!(class_of(LONGEST), Some(CLASSES - 1));
        assert_eq!(class_size(CLASSES - 1), LONGEST);
        assert_eq!(class_of(LONGEST + 1), None);
        assert_eq!(class_of(0), Some(0));
    }
}
