//! The effects on namespaces.

use exomonad_core::CallContext;
use exomonad_schema::EffectError;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::temporal::*;
use temporalio_protos::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeNamespaceResponse, ListNamespacesRequest,
    RegisterNamespaceRequest,
};

use crate::Temporal;
use crate::effect_context::rpc;
use crate::payload::{duration, last_word, millis};
use crate::perform::Perform;
use crate::policy::Scope;
use crate::workflows::{next_page, page_size};

impl Perform for TemporalDescribeNamespace {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalNamespace, EffectError> {
        let scope = Scope {
            namespace: self.namespace.as_deref(),
            ..Scope::default()
        };
        let context = service.begin(Self::KIND, call, "the namespace itself", scope)?;
        let mut request = DescribeNamespaceRequest::default();
        request.namespace = context.namespace.clone();
        let described = rpc!(&context, describe_namespace(request))?;
        Ok(namespace(described))
    }
}

impl Perform for TemporalListNamespaces {
    async fn perform(
        self,
        service: &Temporal,
        call: &CallContext,
    ) -> Result<TemporalNamespaces, EffectError> {
        let context = service.begin(Self::KIND, call, "namespaces", Scope::default())?;
        let mut request = ListNamespacesRequest::default();
        request.page_size = page_size(self.limit);
        request.next_page_token = context.page_token(self.after.as_ref())?;
        let page = rpc!(&context, list_namespaces(request))?;
        let namespaces = page.namespaces.into_iter().map(namespace);
        Ok(TemporalNamespaces {
            namespaces: namespaces
                .filter(|found| context.bounds().allows_namespace(&found.name))
                .collect(),
            next: next_page(page.next_page_token),
        })
    }
}

impl Perform for TemporalRegisterNamespace {
    async fn perform(self, service: &Temporal, call: &CallContext) -> Result<Done, EffectError> {
        let scope = Scope {
            namespace: Some(&self.namespace),
            ..Scope::default()
        };
        let context = service.begin(Self::KIND, call, "the namespace itself", scope)?;
        let mut request = RegisterNamespaceRequest::default();
        request.namespace = context.namespace.clone();
        request.description = self.description.into();
        request.owner_email = self.owner_email.into();
        request.workflow_execution_retention_period = duration(Some(self.retention_millis));
        request.data = self.data.into_iter().collect();
        rpc!(&context, register_namespace(request))?;
        Ok(Done {})
    }
}

fn namespace(described: DescribeNamespaceResponse) -> TemporalNamespace {
    let info = described.namespace_info.unwrap_or_default();
    let config = described.config.unwrap_or_default();
    TemporalNamespace {
        state: last_word(info.state().as_str_name(), "NAMESPACE_STATE_"),
        name: info.name,
        id: info.id,
        description: info.description,
        owner_email: info.owner_email,
        retention_millis: millis(config.workflow_execution_retention_ttl.as_ref()),
        data: info.data.into_iter().collect(),
        is_global: described.is_global_namespace,
    }
}
