//! Against real files and folders.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::load_in;
use crate::diagnostic::{Code, Place};
use crate::model::Config;

fn folder_with(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn load_file(path: &Path) -> Result<Config, (Code, String)> {
    let loaded = Config::load(Some(path), |_| None, &[]);
    loaded.map(|loaded| loaded.config).map_err(|errors| {
        let first = &errors.diagnostics[0];
        (first.code, first.message.clone())
    })
}

#[test]
fn a_named_file_that_cant_be_read_is_a_mistake() {
    let folder = folder_with(&[("big.toml", &vec![b'\n'; 1024 * 1024 + 1])]);
    for name in ["none.toml", "big.toml", "."] {
        let (code, message) = load_file(&folder.path().join(name)).unwrap_err();
        assert_eq!(code, Code::UnreadableFile, "{message}");
    }
}

#[test]
fn a_file_that_a_variable_names_is_read_and_blamed_on_the_variable() {
    let folder = folder_with(&[("my.toml", b"[log]\nfilter = 'warn'\n")]);
    let load = |name: &str| {
        let path = folder.path().join(name).display().to_string();
        Config::load(
            None,
            |variable| (variable == "EXOMONAD_CONFIG").then(|| path.clone()),
            &[],
        )
    };
    let loaded = load("my.toml").unwrap();
    assert_eq!(loaded.config.log.filter, "warn");
    assert_eq!(loaded.path, Some(folder.path().join("my.toml")));
    let errors = load("none.toml").unwrap_err();
    assert_eq!(
        errors.diagnostics[0].place,
        Place::Variable {
            variable: "EXOMONAD_CONFIG"
        }
    );
}

#[test]
fn text_that_is_not_utf8_is_refused_where_it_stops_being_so() {
    let folder = folder_with(&[("bad.toml", b"[log]\nfilter = '\xff'\n")]);
    let errors = Config::load(Some(&folder.path().join("bad.toml")), |_| None, &[]).unwrap_err();
    let Place::File(place) = &errors.diagnostics[0].place else {
        panic!("{errors}");
    };
    assert_eq!((place.line, place.column), (2, 11));
}

#[test]
fn a_token_file_is_read_and_judged() {
    let folder = folder_with(&[
        ("good", b"0123456789abcdef\n"),
        ("empty", b" \n"),
        ("short", b"abc"),
    ]);
    restrict(&folder.path().join("good"), 0o600);
    restrict(&folder.path().join("short"), 0o600);
    let load = |name: &str| {
        load_in(
            folder.path(),
            &format!("[server]\ntoken_file = '{name}'\n"),
            &[],
        )
    };

    assert!(load("good").unwrap().warnings.is_empty());
    assert_eq!(load("short").unwrap().warnings[0].code, Code::Insecure);
    for bad in ["none", "empty", "."] {
        assert_eq!(
            load(bad).unwrap_err().diagnostics[0].code,
            Code::Token,
            "{bad}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_token_file_that_others_can_write_is_refused_and_one_they_can_read_warned_about() {
    let folder = folder_with(&[("token", b"0123456789abcdef")]);
    let load = || load_in(folder.path(), "[server]\ntoken_file = 'token'\n", &[]);
    restrict(&folder.path().join("token"), 0o644);
    assert_eq!(load().unwrap().warnings[0].code, Code::Insecure);
    restrict(&folder.path().join("token"), 0o666);
    assert_eq!(load().unwrap_err().diagnostics[0].code, Code::Token);
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) {}

#[test]
fn a_file_for_ssh_that_cannot_be_read_is_refused() {
    for key in ["known_hosts", "signing_key"] {
        let folder = folder_with(&[("a file", b"")]);
        let load = |name: &str| {
            let text = format!("[git]\n{key} = '{name}'\n");
            load_in(folder.path(), &text, &[])
        };
        let loaded = load("a file").unwrap();
        assert!(loaded.warnings.is_empty());
        let path = Some(folder.path().join("a file"));
        let git = loaded.config.services.git;
        assert!([git.known_hosts, git.signing_key].contains(&path), "{key}");
        for bad in ["none", "."] {
            let errors = load(bad).unwrap_err();
            assert_eq!(errors.diagnostics[0].code, Code::Path, "{bad}");
            assert!(errors.to_string().contains(key), "{errors}");
        }
    }
}

#[test]
fn a_file_where_a_folder_belongs_is_refused() {
    let folder = folder_with(&[("file", b"")]);
    for text in [
        "[plugins]\ndir = 'file'\n",
        "[state]\ndir = 'file'\n",
        "[role.tl]\npaths = ['file']\n",
    ] {
        let errors = load_in(folder.path(), text, &[]).unwrap_err();
        assert_eq!(errors.diagnostics[0].code, Code::Path, "{text}");
    }
    let loaded = load_in(
        folder.path(),
        "[role.tl]\npaths = ['later']\nplugin = 'later.wasm'\n",
        &[],
    )
    .unwrap();
    assert_eq!(loaded.warnings.len(), 2);
}
