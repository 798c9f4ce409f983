//! Who is asking: extractors that say in a handler's signature what it takes to call it.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tokio::time::timeout;

use super::{App, Error};
use crate::catalogue::{key, one_connection};
use crate::domain::AccountId;
use crate::domain::key::{Caller, Role, Secret};

/// Any good key.
#[derive(Debug, Clone, Copy)]
pub struct Member(pub Caller);

/// A key that may publish.
#[derive(Debug, Clone, Copy)]
pub struct Publisher(pub Caller);

/// A key that may make keys: of its own account, or an operator's.
#[derive(Debug, Clone, Copy)]
pub struct Admin(pub Caller);

/// An admin's key without an account: runs the whole instance.
#[derive(Debug, Clone, Copy)]
pub struct Operator(pub Caller);

/// Anybody; who shows a key must show a good one.
#[derive(Debug, Clone, Copy)]
pub struct Viewer(pub Option<Caller>);

impl Viewer {
    /// May see what isn't public of this account.
    pub fn covers(self, account: AccountId) -> bool {
        self.0.is_some_and(|caller| caller.covers(account))
    }
}

/// The holder of the key shown, if one is. Keys are looked up by digest: a wrong one costs the same as a good one.
pub(super) async fn find_caller(headers: &HeaderMap, app: &App) -> Result<Option<Caller>, Error> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let Ok(text) = value.to_str() else { return Err(Error::KeyInvalid) };
    let (scheme, secret) = text.split_once(' ').ok_or(Error::KeyInvalid)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::KeyInvalid);
    }
    let digest = Secret::new(secret.trim()).digest();
    let found = key::find_caller(app.read().await?.conn(), &digest).await?;
    if let Some(caller) = &found {
        tracing::Span::current().record("key", tracing::field::display(caller.key));
    }
    found.map(Some).ok_or(Error::KeyInvalid)
}

/// How often a key is looked up again that authorises an answer without an end: news of a revocation may get lost.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Returns once the caller's key is revoked, which whoever answers without an end has to see. A database that is out
/// of reach revokes nothing.
pub(super) async fn revoked(app: &App, caller: Caller) {
    // Beside the answer, in the same task.
    one_connection(look_for_revocation(app, caller)).await;
}

async fn look_for_revocation(app: &App, caller: Caller) {
    let changes = &app.publishing.changes;
    let mut told = changes.keys();
    loop {
        // Either it may have been revoked, or it is time to look.
        let _ = timeout(LOOK_AGAIN, told).await;
        told = changes.keys();
        let found = async { Ok::<_, Error>(key::find(app.read().await?.conn(), caller.key).await?) };
        if found.await.is_ok_and(|found| found.is_none_or(|key| key.revoked_at.is_some())) {
            return;
        }
    }
}

async fn caller(parts: &Parts, app: &App) -> Result<Caller, Error> {
    find_caller(&parts.headers, app).await?.ok_or(Error::KeyMissing)
}

impl FromRequestParts<App> for Member {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        caller(parts, app).await.map(Self)
    }
}

impl FromRequestParts<App> for Publisher {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let caller = caller(parts, app).await?;
        if caller.role >= Role::Publisher {
            Ok(Self(caller))
        } else {
            Err(Error::RoleTooLow("a publisher's key"))
        }
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let caller = caller(parts, app).await?;
        if caller.role == Role::Admin { Ok(Self(caller)) } else { Err(Error::RoleTooLow("an admin's key")) }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let caller = caller(parts, app).await?;
        if caller.is_operator() { Ok(Self(caller)) } else { Err(Error::RoleTooLow("an operator's key")) }
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        find_caller(&parts.headers, app).await.map(Self)
    }
}
