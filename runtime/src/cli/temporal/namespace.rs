//! `temporal namespace`.

use std::collections::BTreeMap;

use clap::Subcommand;
use exomonad_config::TimeSpan;
use exomonad_core::TemporalService;
use exomonad_schema::effects::temporal::{
    TemporalDescribeNamespace, TemporalListNamespaces, TemporalRegisterNamespace,
};

use super::{PageArgs, Server, answer, failed, millis, number, optional_word, word};
use crate::cli::CommandError;

/// The commands for namespaces.
#[derive(Subcommand)]
pub enum NamespaceCommand {
    /// Describe a namespace.
    Describe {
        /// Its name; otherwise that of --namespace or of the configuration.
        name: Option<String>,
    },
    /// List namespaces.
    List {
        /// The page.
        #[command(flatten)]
        page: PageArgs,
    },
    /// Register a namespace. It can be used some seconds later.
    Register {
        /// Its name.
        name: String,
        /// Its description.
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// The address of its owner.
        #[arg(long, value_name = "ADDRESS", default_value = "")]
        owner_email: String,
        /// The time for which closed workflows are kept.
        #[arg(long, value_name = "TIME", default_value = "3d")]
        retention: TimeSpan,
    },
}

/// Runs a command.
pub async fn run(server: &Server, command: NamespaceCommand) -> Result<(), CommandError> {
    let (service, call) = (&server.service, &server.call);
    match command {
        NamespaceCommand::Describe { name } => {
            let named = optional_word("the namespace", name)?;
            let request = TemporalDescribeNamespace {
                namespace: named.or_else(|| server.namespace.clone()),
            };
            let found = service.describe_namespace(call, request).await;
            answer::fields(server, &found.map_err(failed)?);
            Ok(())
        }
        NamespaceCommand::List { page } => {
            let request = TemporalListNamespaces {
                limit: number("--limit", page.limit)?,
                after: optional_word("--after", page.after)?,
            };
            let found = service
                .list_namespaces(call, request)
                .await
                .map_err(failed)?;
            let rows: Vec<_> = found
                .namespaces
                .iter()
                .map(|namespace| {
                    vec![
                        namespace.name.clone(),
                        namespace.state.clone(),
                        namespace.description.clone(),
                    ]
                })
                .collect();
            let header = ["NAMESPACE", "STATE", "DESCRIPTION"];
            answer::page(server, &found, &header, &rows, found.next.as_deref());
            Ok(())
        }
        NamespaceCommand::Register {
            name,
            description,
            owner_email,
            retention,
        } => {
            let says = format!("{name} is registered");
            let retention = millis("--retention", Some(retention))?;
            let request = TemporalRegisterNamespace {
                namespace: word("the namespace", name)?,
                description: word("--description", description)?,
                owner_email: word("--owner-email", owner_email)?,
                retention_millis: retention
                    .ok_or_else(|| CommandError::Usage("--retention is missing".to_owned()))?,
                data: BTreeMap::new(),
            };
            let registered = service.register_namespace(call, request).await;
            answer::done(server, registered, &says)
        }
    }
}
