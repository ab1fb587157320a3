//! `exomonad.default.toml`: every key with its meaning and default, commented out.

use toml_edit::TableLike;

use super::table::{absent, assignment, comment, to_document, values};
use crate::key::quoted_if_needed;
use crate::model::Config;
use crate::read::VARIABLES;
use crate::schema::Shape;

const HEAD: &str = "\
# exomonad.toml: the configuration of the exomonad host.
#
# Every key is here with its default, commented out; copy what you change. Sizes are written
# \"64KiB\" or \"1MB\", durations \"250ms\", \"30s\" or \"5m\". Relative paths are taken from the folder
# of this file. `exomonad config check` finds mistakes, `exomonad config show` prints what is in
# force.
";

const EXAMPLES: &str = "
# A secret that HTTP requests of guests may carry: the guest writes {{secret:WEATHER_KEY}}, the host fills
# it in, for roles that list it in `secrets` and only towards its hosts. `file` instead of `env` reads it
# from a file.
#[secret.WEATHER_KEY]
#env = \"WEATHER_KEY\"
#hosts = [\"api.weather.example\"]

# One table a role. Everything it does not set comes from [defaults]; this one is an example.
#[role.tl]
#plugin = \"tl\"
#effects = [\"log.*\", \"git.*\", \"kv.*\"]
#paths = [\".\"]
#config = { greeting = \"hello\" }
#[role.tl.limits]
#wall_time = \"10s\"
";

/// The documented default file. A line that begins with `#` and no blank is a setting to uncomment;
/// all of them together, but for the examples at the end, say what the defaults say.
pub fn default_file() -> String {
    let document = to_document(&Config::default());
    let mut text = String::from(HEAD);
    text.push_str("#\n# These environment variables override the file:\n");
    for variable in VARIABLES {
        text.push_str(&comment(&format!(
            "{} ({}): {}",
            variable.name,
            variable.key.join("."),
            variable.description
        )));
    }
    for (name, item) in document.iter() {
        let section = Shape::root().key(name).zip(item.as_table_like());
        // Tables whose entries have names of the user's own have an example instead.
        if let Some((shape, table)) = section.filter(|(shape, _)| shape.keys().next().is_some()) {
            write_table(&mut text, name, table, shape);
        }
    }
    text.push_str(EXAMPLES);
    text
}

fn write_table(text: &mut String, name: &str, table: &dyn TableLike, shape: Shape) {
    text.push('\n');
    text.push_str(&comment(shape.description().unwrap_or_default()));
    text.push_str(&format!("[{name}]\n"));
    for (key, item) in values(table, shape) {
        let description = shape.key(key).and_then(Shape::description);
        text.push_str(&format!(
            "\n{}#{}\n",
            comment(description.unwrap_or_default()),
            assignment(key, item)
        ));
    }
    for (key, shape) in absent(table, shape) {
        let example = shape
            .example()
            .map(|value| value.to_string())
            .unwrap_or_default();
        text.push_str(&format!(
            "\n{}",
            comment(shape.description().unwrap_or_default())
        ));
        text.push_str(&format!(
            "# Not set by default. Example: {} = {example}\n",
            quoted_if_needed(key)
        ));
    }
    for (key, shape) in shape
        .keys()
        .filter(|(_, shape)| shape.keys().next().is_some())
    {
        if let Some(inner) = table.get(key).and_then(|item| item.as_table_like()) {
            write_table(text, &format!("{name}.{key}"), inner, shape);
        }
    }
}
