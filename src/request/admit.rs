//! What the caller may see of what is asked, and the backend that holds it.

use super::Headers;
use crate::api::path::route;
use crate::api::{Class, Kind, Method};
use crate::policy::{Grant, Grants, Narrowing, SCOPE_HEADER, TENANT_HEADER};
use crate::rejection::{Forbidden, Rejection};
use crate::scope::{Backend, holder};

/// What a decision must know of a request.
#[derive(Debug)]
pub struct Asked<'a, H> {
    /// What policy rules call the backend, or the several that share a mount.
    pub mount: &'a str,
    /// Their kind.
    pub kind: Kind,
    /// The method, if some endpoint has it.
    pub method: Option<Method>,
    /// The path below the mount.
    pub path: &'a str,
    /// The headers.
    pub headers: &'a H,
    /// The tenant that the path names before the mount.
    pub tenant: Option<&'a str>,
}

impl<H: Headers> Asked<'_, H> {
    /// What the caller of `grants` may see of what is asked, and which of `backends` holds it.
    ///
    /// # Errors
    /// [`Rejection::Forbidden`], and [`Rejection::Narrower`] with the choices where the caller must name less.
    pub fn grant<'b, B>(
        &self,
        grants: &Grants,
        backends: &'b [B],
        backend_of: impl Fn(&B) -> &Backend,
    ) -> Result<(&'b B, Grant), Rejection> {
        let wish = wish(self.headers, self.tenant)?;
        // Which endpoint it is, is looked at twice where rules tell endpoints apart, and there only.
        let class = if grants.by_class() { self.class() } else { None };
        let chosen = grants.choose(self.mount, class, wish.as_ref()).and_then(|grant| {
            let held = holder(backends, &backend_of, &grant)?;
            // A backend that cannot say a dimension is closed, whatever is asked of it.
            backend_of(held).open_to(&grant).map(|()| (held, grant))
        });
        chosen.map_err(|forbidden| match forbidden {
            Forbidden::NarrowerScope => {
                Rejection::Narrower { choices: grants.choices(self.mount, class, wish.as_ref()) }
            }
            other => other.into(),
        })
    }

    /// What kind of endpoint is asked; `None` if there is none. By its method as well: to look at a silence is not to
    /// change it.
    pub fn class(&self) -> Option<Class> {
        let matched = route(self.kind, self.path).ok()?.by(self.kind, self.method).ok()?;
        Some(matched.endpoint.class())
    }
}

/// What a request wishes to see no more than: by its headers, or by the `tenant` of its path.
///
/// # Errors
/// [`Forbidden::Narrowing`] if it is malformed, or says it twice.
pub fn wish(headers: &impl Headers, tenant: Option<&str>) -> Result<Option<Narrowing>, Forbidden> {
    let wish = Narrowing::from_headers(headers.all(SCOPE_HEADER), headers.all(TENANT_HEADER))?;
    match tenant {
        None => Ok(wish),
        Some(tenant) => Narrowing::and_tenant(wish, tenant).map(Some),
    }
}
