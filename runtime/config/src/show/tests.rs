//! Everything that is written out can be read back.

use proptest::prelude::*;

use super::{default_file, render_effective};
use crate::model::{Config, InstanceMode, LogFormat, Role};
use crate::read::tests::load;
use exomonad_core::values::{ByteSize, RoleName, TimeSpan};

/// Where the file stands must not matter any more: an effective configuration has absolute paths.
fn reload(config: &Config) -> Config {
    let sources = load("", &[]).unwrap().sources;
    let text = render_effective(config, &sources);
    let loaded = load(&text, &[("ANY_TOKEN", "0123456789abcdef")])
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    // In this text each role says everything itself.
    Config {
        role_keys: config.role_keys.clone(),
        ..loaded.config
    }
}

fn roles() -> impl Strategy<Value = Role> {
    let texts = prop::collection::btree_map(any::<String>(), any::<String>(), 0..4);
    let paths = prop::collection::vec("/[a-zé '\"\\\\]{1,12}", 0..3);
    (
        texts,
        paths,
        any::<bool>(),
        any::<bool>(),
        (1_u64..60_000, 1_u64..64, any::<u16>()),
    )
        .prop_map(|(config, paths, pooled, token, (millis, pages, queue))| {
            let mut role = Role {
                config,
                instance: if pooled {
                    InstanceMode::Pooled
                } else {
                    InstanceMode::Fresh
                },
                token_env: token.then(|| "ANY_TOKEN".to_owned()),
                ..Role::default()
            };
            // As loading leaves them.
            role.bounds.files.paths = paths
                .iter()
                .map(|path| std::path::PathBuf::from(path).components().collect())
                .collect();
            role.effects = ["log.*", "kv.get"]
                .iter()
                .map(|pattern| pattern.parse().unwrap())
                .collect();
            role.limits.wall_time = TimeSpan::millis(millis);
            role.limits.memory = ByteSize::kib(64 * pages);
            role.limits.queue = u32::from(queue);
            role
        })
}

fn configs() -> impl Strategy<Value = Config> {
    let roles_by_name = prop::collection::btree_map("[a-z0-9][a-z0-9_-]{0,8}", roles(), 0..4);
    (
        roles(),
        roles_by_name,
        any::<u16>(),
        1024_u64..1 << 32,
        any::<String>(),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(defaults, roles, port, body, filter, [json, unlisted, watch])| {
                let mut config = load("", &[]).unwrap().config;
                config.server.listen = format!("127.0.0.1:{port}").parse().unwrap();
                config.server.max_body = ByteSize::bytes(body);
                config.log.filter = filter;
                config.log.format = if json {
                    LogFormat::Json
                } else {
                    LogFormat::Pretty
                };
                config.plugins.unlisted_roles = unlisted;
                config.plugins.watch = watch;
                // A role without a token of its own has the one of the defaults.
                let inherits = |role: Role| Role {
                    token_env: role.token_env.or(defaults.token_env.clone()),
                    ..role
                };
                let texts = |role: &Role| {
                    defaults
                        .config
                        .clone()
                        .into_iter()
                        .chain(role.config.clone())
                        .collect()
                };
                config.roles = roles
                    .into_iter()
                    .map(|(name, role)| {
                        let config = texts(&role);
                        (
                            name.parse::<RoleName>().unwrap(),
                            Role {
                                config,
                                ..inherits(role)
                            },
                        )
                    })
                    .collect();
                config.defaults = defaults;
                config
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_effective_configuration_loads_to_itself(config in configs()) {
        prop_assert_eq!(reload(&config), config);
    }
}

#[test]
fn the_effective_configuration_says_where_a_value_comes_from() {
    let loaded = load("[log]\nfilter = 'warn'\n", &[("EXOMONAD_STATE_DIR", "/s")]).unwrap();
    let text = render_effective(&loaded.config, &loaded.sources);
    assert!(
        text.contains("filter = \"warn\"  # exomonad.toml:2\n"),
        "{text}"
    );
    assert!(
        text.contains("dir = \"/s\"  # EXOMONAD_STATE_DIR\n"),
        "{text}"
    );
    assert!(text.contains("format = \"pretty\"\n"), "{text}");
}

#[test]
fn the_default_file_in_the_repository_is_the_generated_one() {
    let command = "cargo run -p exomonad-config --example default-file > runtime/config/exomonad.default.toml";
    assert!(
        include_str!("../../exomonad.default.toml") == default_file(),
        "run: {command}"
    );
}

#[test]
fn the_default_file_says_the_defaults_with_its_settings_commented_out_or_not() {
    let text = default_file();
    let (settings, example) = text.split_once("#[secret.WEATHER_KEY]").unwrap();
    let uncomment = |text: &str| -> String {
        let lines = text.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| !c.is_whitespace()) => setting,
            _ => line,
        });
        lines.flat_map(|line| [line, "\n"]).collect()
    };
    let defaults = load("", &[]).unwrap().config;
    assert_eq!(load(&text, &[]).unwrap().config, defaults);
    assert_eq!(load(&uncomment(settings), &[]).unwrap().config, defaults);
    let examples = uncomment(&format!("#[secret.WEATHER_KEY]{example}"));
    let examples = load(&examples, &[("WEATHER_KEY", "sunny")]).unwrap().config;
    assert_eq!(
        (examples.roles.len(), examples.services.secrets.len()),
        (1, 1)
    );
}
