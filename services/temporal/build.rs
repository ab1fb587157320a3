//! Writes the descriptors of the messages whose JSON the service prints: of all that `temporalio-protos` has,
//! those of histories and schedules, with what they refer to, and without comments and services.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH");
    #[cfg(feature = "client")]
    descriptors::write();
}

#[cfg(feature = "client")]
mod descriptors {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::{env, fs};

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    const WANTED: [&str; 2] = [
        "temporal/api/history/v1/message.proto",
        "temporal/api/schedule/v1/message.proto",
    ];

    pub fn write() {
        let path = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")
            .expect("temporalio-protos says where its descriptors are");
        let bytes = fs::read(path).expect("the descriptors are there");
        let mut set = FileDescriptorSet::decode(bytes.as_slice()).expect("they are descriptors");

        let mut wanted: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = WANTED.iter().map(ToString::to_string).collect();
        while let Some(name) = open.pop() {
            let file = set.file.iter().find(|file| file.name() == name);
            let file = file.unwrap_or_else(|| panic!("{name} is among the descriptors"));
            if wanted.insert(name) {
                open.extend(file.dependency.iter().cloned());
            }
        }
        set.file.retain(|file| wanted.contains(file.name()));
        for file in &mut set.file {
            file.source_code_info = None;
            file.service.clear();
        }

        let out = PathBuf::from(env::var("OUT_DIR").expect("cargo names the folder"));
        fs::write(out.join("descriptors.bin"), set.encode_to_vec()).expect("it can be written");
    }
}
