//! [`VisibleRoles`]: the roles that a request may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use exomonad_schema::RoleName;

use crate::error::RequestError;
use crate::guard::Access;
use crate::serving::Serving;

/// The roles whose calls and workflows a request may see: those that it may use. Those of a role that there is no
/// more the operator sees.
pub struct VisibleRoles {
    /// The configuration in force that answers the request.
    pub serving: Arc<Serving>,
    headers: HeaderMap,
    known: BTreeMap<RoleName, bool>,
}

impl VisibleRoles {
    /// The roles that a request with these headers may see.
    pub fn of(serving: Arc<Serving>, headers: HeaderMap) -> Self {
        Self {
            serving,
            headers,
            known: BTreeMap::new(),
        }
    }

    /// Checks that the request may use this role.
    ///
    /// # Errors
    /// If it may not.
    pub fn check(&self, role: &RoleName) -> Result<(), RequestError> {
        let access = match self.serving.runtime.config.role(role) {
            Some(_) => Access::Role(role),
            None => Access::Operator,
        };
        self.serving.guard.check_token(&access, &self.headers)
    }

    /// Checks that the request is an operator's.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_operator(&self) -> Result<(), RequestError> {
        self.serving
            .guard
            .check_token(&Access::Operator, &self.headers)
    }

    /// Checks that the request may use some role.
    ///
    /// # Errors
    /// If it may use none.
    pub fn check_any(&self) -> Result<(), RequestError> {
        let roles = self.serving.runtime.roles();
        match roles.keys().any(|role| self.check(role).is_ok()) {
            true => Ok(()),
            false => self.check_operator(),
        }
    }

    /// True if the request may see this role.
    pub fn contains(&mut self, role: &RoleName) -> bool {
        match self.known.get(role) {
            Some(known) => *known,
            None => {
                let is_visible = self.check(role).is_ok();
                self.known.insert(role.clone(), is_visible);
                is_visible
            }
        }
    }

    /// Checks that the request may see this role, or some role if none is named.
    ///
    /// # Errors
    /// If it may not.
    pub fn check_named(&self, role: Option<&str>) -> Result<(), RequestError> {
        match role.map(str::parse) {
            // Unknown and forbidden roles look identical.
            Some(Ok(role)) => self.check(&role),
            Some(Err(_)) => self.check_operator(),
            None => self.check_any(),
        }
    }
}
