//! Names in the cases of programming languages, from those of the contract: `camelCase` fields,
//! `snake_case` constants and functions.

/// `createdAt`, `created_at` → `CreatedAt`.
pub fn pascal(name: &str) -> String {
    let capitalised = |word: String| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    };
    words(name).into_iter().map(capitalised).collect()
}

/// `created_at` → `createdAt`.
pub fn camel(name: &str) -> String {
    let pascal = pascal(name);
    let (first, rest) = pascal.split_at(pascal.len().min(1));
    first.to_ascii_lowercase() + rest
}

/// `createdAt` → `created_at`.
pub fn snake(name: &str) -> String {
    words(name).join("_").to_ascii_lowercase()
}

/// The words of a name; one begins after a `_` and at each capital.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for letter in name.chars() {
        let begins = letter.is_ascii_uppercase() || letter == '_';
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter != '_') {
            word.push(letter);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{camel, pascal, snake};

    #[test]
    fn every_case_is_reached_from_every_other() {
        for name in ["unixMillis", "unix_millis", "UnixMillis"] {
            assert_eq!(pascal(name), "UnixMillis");
            assert_eq!(camel(name), "unixMillis");
            assert_eq!(snake(name), "unix_millis");
        }
        assert_eq!((camel("_meta"), pascal("")), ("meta".into(), "".into()));
    }
}
