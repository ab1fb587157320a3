//! [`VisibleRoles`]: the roles that a request may see.

use std::collections::BTreeMap;
use std::sync::Arc;

use exomonad_access::{Access, Credentials};
use exomonad_core::Principal;
use exomonad_core::values::Area;
use exomonad_schema::RoleName;

use crate::error::RequestError;
use crate::serving::Serving;

/// The roles whose calls and workflows a request may see: those that it may use. Those of a role that there is no
/// more the operator sees.
pub struct VisibleRoles {
    /// The configuration in force that answers the request.
    pub serving: Arc<Serving>,
    credentials: Credentials,
    area: Area,
    known: BTreeMap<RoleName, bool>,
}

impl VisibleRoles {
    /// The roles of which a request with these credentials may see this area.
    pub fn of(serving: Arc<Serving>, credentials: &Credentials, area: Area) -> Self {
        Self {
            serving,
            credentials: credentials.clone(),
            area,
            known: BTreeMap::new(),
        }
    }

    /// Checks that the request may use this role. Gives who makes it.
    ///
    /// # Errors
    /// If it may not.
    pub fn check(&self, role: &RoleName) -> Result<Option<Arc<Principal>>, RequestError> {
        let access = match self.serving.runtime.config.role(role) {
            Some(_) => Access::Area(role, self.area),
            None => Access::Operator,
        };
        self.serving.guard.check(access, &self.credentials)
    }

    /// Checks that the request is an operator's.
    ///
    /// # Errors
    /// If it is not.
    pub fn check_operator(&self) -> Result<(), RequestError> {
        self.serving
            .guard
            .check(Access::Operator, &self.credentials)
            .map(drop)
    }

    /// Checks that the request may use some role.
    ///
    /// # Errors
    /// If it may use none.
    pub fn check_any(&self) -> Result<(), RequestError> {
        let roles = self.serving.runtime.roles();
        let mut refused = None;
        for role in roles.keys() {
            match self.check(role) {
                Ok(_) => return Ok(()),
                // A token that opens the role, and not this of it.
                Err(error @ RequestError::OutOfScope(_)) => refused = Some(error),
                Err(_) => {}
            }
        }
        match refused {
            Some(error) => Err(error),
            None => self.check_operator(),
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
            Some(Ok(role)) => self.check(&role).map(drop),
            Some(Err(_)) => self.check_operator(),
            None => self.check_any(),
        }
    }
}
