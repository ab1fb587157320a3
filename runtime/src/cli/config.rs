//! `config`: show it, check it.

use exomonad_config::{Config, ConfigErrors, Loaded, default_file, render_effective};

use super::CommandError;
use super::args::{ConfigCommand, Options};
use super::show::print_json;
use exomonad_host::capabilities;
use exomonad_host::plugins::{embedded, folder};

/// Loads the configuration that the options name. Mistakes are all in the error.
pub fn load(options: &Options) -> Result<Loaded, CommandError> {
    try_load(options).map_err(|errors| wrong(options, &errors))
}

/// Loads the configuration for a command that performs nothing itself: without its secrets.
pub fn load_text_alone(options: &Options) -> Result<Loaded, CommandError> {
    let loaded = Config::load_text_alone(options.config_file(), env, &capabilities());
    loaded.map_err(|errors| wrong(options, &errors))
}

fn wrong(options: &Options, errors: &ConfigErrors) -> CommandError {
    match options.json {
        true => CommandError::Usage(serde_json::to_string(errors).unwrap_or_default()),
        // Who sees no more than the last line of a log still learns what to do.
        false => CommandError::Usage(format!(
            "the configuration is wrong\n{errors}\nexomonad: {}",
            errors.in_one_line()
        )),
    }
}

/// Prints the warnings about the configuration: for the commands whose subject it is.
pub fn print_warnings(loaded: &Loaded) {
    for warning in &loaded.warnings {
        errln!("{warning}");
    }
}

fn try_load(options: &Options) -> Result<Loaded, ConfigErrors> {
    Config::load(options.config_file(), env, &capabilities())
}

/// The roles that would serve if a host was started with this configuration.
pub fn roles_of(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = config.roles.keys().map(ToString::to_string).collect();
    if config.plugins.unlisted_roles {
        if config.plugins.embedded {
            names.extend(embedded::names().map(str::to_owned));
        }
        let folder = folder::scan(&config.plugins.dir);
        let found = folder.into_iter().flat_map(|contents| contents.plugins);
        names.extend(found.map(|(name, _)| name.to_string()));
    }
    names.sort();
    names.dedup();
    names
}

/// A variable of the environment.
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs `config`.
pub fn run(options: &Options, command: ConfigCommand) -> Result<(), CommandError> {
    match command {
        ConfigCommand::Default => out!("{}", default_file()),
        ConfigCommand::Show => {
            let loaded = load(options)?;
            print_warnings(&loaded);
            match options.json {
                true => print_json(&loaded.config),
                false => out!("{}", render_effective(&loaded.config, &loaded.sources)),
            }
        }
        ConfigCommand::Check => return check(options),
    }
    Ok(())
}

fn check(options: &Options) -> Result<(), CommandError> {
    match (try_load(options), options.json) {
        (Ok(loaded), true) => print_json(&loaded.warnings),
        (Ok(loaded), false) => {
            print_warnings(&loaded);
            match loaded.path {
                Some(path) => outln!("{}: fine", path.display()),
                None => outln!(
                    "no exomonad.toml here: the defaults hold (`exomonad config show` lists them)"
                ),
            }
        }
        (Err(errors), true) => {
            print_json(&errors);
            return Err(CommandError::Wrong);
        }
        (Err(errors), false) => {
            errln!("{errors}");
            return Err(CommandError::Wrong);
        }
    }
    Ok(())
}
