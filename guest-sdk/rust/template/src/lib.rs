//! The plugin {{name}}.

use exomonad_guest::{git, prelude::*};

/// The person to greet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GreetArgs {
    /// The name.
    name: String,
}

/// A greeting.
#[derive(Serialize, JsonSchema)]
pub struct Greeting {
    /// The text.
    text: String,
}

/// Greets someone, with the current branch.
#[tool(read_only)]
pub fn greet(args: GreetArgs) -> Result<Greeting, ToolError> {
    let branch = git::get_branch(&GitGetBranch::default())?.branch;
    let place = branch.unwrap_or_else(|| "nowhere".to_owned());
    Ok(Greeting { text: format!("Hello {} on {place}", args.name) })
}

plugin! { name: "{{name}}", tools: [greet] }

#[cfg(test)]
mod tests {
    use super::*;
    use exomonad_guest::testing::FakeHost;

    #[test]
    fn a_greeting_names_the_branch() {
        let host = FakeHost::new().on(|_: GitGetBranch| {
            Ok(GitBranch { head: GitHead::Branch, branch: Some("main".into()), commit: None })
        });
        let greeting = host.run(|| greet(GreetArgs { name: "Ada".into() })).unwrap();
        assert_eq!(greeting.text, "Hello Ada on main");
    }
}
