//! What a request under an `Idempotency-Key` makes, kept in the transaction that makes it: an attempt after one that ended
//! before its answer was kept finds that instead of making another.

use std::str::FromStr;

use super::Error;
use crate::catalogue::Tx;
use crate::catalogue::idempotency::{self, Place};
use crate::domain::KeyId;

tokio::task_local! {
    static ATTEMPT: Attempt;
}

/// One attempt of a request.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub api_key: KeyId,
    pub key: String,
    /// The id of what an earlier attempt made.
    pub made: Option<String>,
}

/// Runs a request as this attempt; work it spawns onto other tasks is none of it.
pub fn attempt<F: Future>(attempt: Attempt, request: F) -> impl Future<Output = F::Output> {
    ATTEMPT.scope(attempt, request)
}

/// What an earlier attempt of the request made.
pub(super) fn made<T: FromStr>() -> Option<T> {
    ATTEMPT.try_with(|attempt| attempt.made.as_deref()?.parse().ok()).ok().flatten()
}

/// Keeps what is made in this transaction; refused where another attempt has made it meanwhile.
pub(super) async fn note(tx: &mut Tx, made: impl ToString) -> Result<(), Error> {
    let Ok(attempt) = ATTEMPT.try_with(Attempt::clone) else { return Ok(()) };
    let place = Place { api_key: attempt.api_key, key: &attempt.key };
    let noted = idempotency::note(tx.conn(), place, &made.to_string(), attempt.made.as_deref()).await?;
    if noted { Ok(()) } else { Err(Error::MadeAlready) }
}
