//! Suggestions for misspelled names: "did you mean …".

/// The length in bytes from which a name is no spelling of another.
const MAX_LENGTH: usize = 200;
/// The candidates that are compared; a plugin may export any number of names.
const MOST_CANDIDATES: usize = 2000;

/// The candidate most similar to `name`, if one is similar enough to be a suggestion.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The comparison takes the product of both lengths.
    if name.len() > MAX_LENGTH {
        return None;
    }
    let max_distance = name.chars().count().max(3) / 3;
    candidates
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= max_distance)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The number of characters to insert, delete, replace or swap with the next (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut second_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(second_last[j - 2] + 1);
            }
        }
        second_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_typing_error_has_a_suggestion_and_a_different_word_has_none() {
        let names = ["git_get_branch", "git_status", "log"];
        assert_eq!(closest("git_get_branches", names), Some("git_get_branch"));
        assert_eq!(closest("lgo", names), Some("log"));
        assert_eq!(closest("dig", names), None);
        assert_eq!(closest("docker_exec", names), None);
    }
}
