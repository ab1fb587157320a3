//! The compile cache: what comes from it, and that nothing which is wrong with it does any harm.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use exomonad_engine::{
    CompileCache, Engine, EngineConfig, LoadOptions, Manifest, Plugin, SnapshotStatus,
};

use crate::recorder::{EFFECTS, call, engine, with_abi};

const ECHO: &str =
    r#"(func (export "run") (call $output_set (call $input_offset) (call $input_length)))"#;

async fn load_with(engine: &Engine, cache: &CompileCache, wat: &str) -> Plugin {
    let options = LoadOptions {
        effects: EFFECTS,
        cache: Some(cache.clone()),
        ..LoadOptions::default()
    };
    let plugin = engine
        .load(&Manifest::of_module(wat.as_bytes().to_vec()), &options)
        .await
        .unwrap();
    assert_eq!(
        call(&plugin, "run", b"an echo").await.unwrap().bytes,
        b"an echo"
    );
    plugin
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Which file it is: another one when the cache writes it again. Its time changes whenever it is used.
fn identity(file: &Path) -> u64 {
    fs::metadata(file).unwrap().ino()
}

#[tokio::test]
async fn the_second_load_finds_what_the_first_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CompileCache::open(folder.path()).unwrap();
    let first = load_with(&engine(), &cache, &with_abi(ECHO)).await;
    let [file] = &files(folder.path())[..] else {
        panic!("one file a plugin")
    };
    let before = identity(file);
    // Another engine of the same settings, as after a restart.
    let second = load_with(&engine(), &cache, &with_abi(ECHO)).await;
    assert_eq!(identity(file), before);
    assert_eq!(first.digest(), second.digest());
    assert_eq!(
        cache.size().unwrap(),
        (fs::metadata(file).unwrap().len(), 1)
    );
}

#[tokio::test]
async fn a_snapshot_is_kept_with_the_module_it_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CompileCache::open(folder.path()).unwrap();
    let wat = with_abi(&format!(
        r#"{ECHO} (func (export "_initialize") (i32.store (i32.const 0) (i32.const 1)))"#
    ));
    for _ in 0..2 {
        assert_eq!(
            *load_with(&engine(), &cache, &wat).await.snapshot(),
            SnapshotStatus::Taken
        );
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn other_plugins_and_other_engines_have_other_files() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CompileCache::open(folder.path()).unwrap();
    load_with(&engine(), &cache, &with_abi(ECHO)).await;
    load_with(&engine(), &cache, &with_abi(&format!("{ECHO} (func)"))).await;
    let larger = EngineConfig {
        sandboxes: 8,
        memory: 128 << 20,
        ..EngineConfig::default()
    };
    load_with(&Engine::new(larger).unwrap(), &cache, &with_abi(ECHO)).await;
    let count = files(folder.path()).len();
    assert!(count >= 2, "{count}");
    load_with(&engine(), &cache, &with_abi(ECHO)).await;
    assert_eq!(files(folder.path()).len(), count);
}

#[tokio::test]
async fn a_damaged_file_is_compiled_again_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CompileCache::open(folder.path()).unwrap();
    let engine = engine();
    load_with(&engine, &cache, &with_abi(ECHO)).await;
    let file = files(folder.path()).remove(0);
    let good = fs::read(&file).unwrap();
    let flipped = |place: usize| {
        let mut bytes = good.clone();
        bytes[place] ^= 1;
        bytes
    };
    let damages = [
        Vec::new(),
        good[..10].to_vec(),
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], b"x"].concat(),
        flipped(0),
        flipped(25),
        flipped(53),
        flipped(good.len() / 2),
        flipped(good.len() - 1),
        vec![0; good.len()],
    ];
    for (nth, damaged) in damages.into_iter().enumerate() {
        fs::write(&file, &damaged).unwrap();
        load_with(&engine, &cache, &with_abi(ECHO)).await;
        assert_eq!(fs::read(&file).unwrap(), good, "damage {nth}");
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_only_time() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CompileCache::open(folder.path().join("cache")).unwrap();
    // A folder where the file would go stops even root, whom no permission stops.
    let engine = engine();
    load_with(&engine, &cache, &with_abi(ECHO)).await;
    let file = files(cache.folder()).remove(0);
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("in the way")).unwrap();
    load_with(&engine, &cache, &with_abi(ECHO)).await;
    assert_eq!(
        files(cache.folder()),
        std::slice::from_ref(&file),
        "nothing half written stays"
    );
    // Neither does a folder that is gone matter.
    fs::remove_dir_all(cache.folder()).unwrap();
    load_with(&engine, &cache, &with_abi(ECHO)).await;
}

#[tokio::test]
async fn a_full_disk_costs_only_time() {
    // The device that is always full stands for the disk: what would be written goes there.
    let folder = tempfile::tempdir().unwrap();
    let cache = CompileCache::open(folder.path()).unwrap();
    let engine = engine();
    load_with(&engine, &cache, &with_abi(ECHO)).await;
    let file = files(folder.path()).remove(0);
    fs::remove_file(&file).unwrap();
    // One of these is what will be written next: the number counts the writes of this process.
    let part = |number| file.with_extension(format!("{}-{number}.part", std::process::id()));
    for number in 0..100 {
        std::os::unix::fs::symlink("/dev/full", part(number)).unwrap();
    }
    load_with(&engine, &cache, &with_abi(ECHO)).await;
    assert!(!file.exists());
    let left = files(folder.path());
    assert_eq!(left.len(), 99, "what was half written is gone: {left:?}");
    for part in left {
        fs::remove_file(part).unwrap();
    }
    load_with(&engine, &cache, &with_abi(ECHO)).await;
    assert_eq!(files(folder.path()), [file]);
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o770, 0o707, 0o777, 0o720] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = CompileCache::open(folder.path()).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    CompileCache::open(folder.path()).unwrap();
    let new = folder.path().join("a").join("b");
    CompileCache::open(&new).unwrap();
    assert_eq!(
        fs::metadata(&new).unwrap().permissions().mode() & 0o777,
        0o700
    );
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(CompileCache::open(folder.path().join("file")).is_err());
}
