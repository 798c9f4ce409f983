//! A panic ends what it happened in, and not the slot or the rounds that would go on without it.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::Error;
use crate::domain::printable;

/// Runs to its end; a panic is an error that says what the panic said. Whatever it held is dropped: a transaction is
/// rolled back, a child killed.
pub async fn caught<T, E: Into<Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Error> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(Into::into),
        Err(panic) => Err(Error::Panicked(words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    printable(said.unwrap_or("without a word")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_attempt_that_failed_with_a_cause() {
        let index = std::hint::black_box(3);
        let jobs: [Result<u8, Error>; 2] = [
            caught(async { Ok::<u8, Error>([1_u8, 2][index]) }).await,
            caught::<u8, Error>(async { panic!("no such track") }).await,
        ];
        let stories = jobs.map(|job| job.expect_err("a panic").story());
        assert_eq!(
            stories,
            ["panicked: index out of bounds: the len is 2 but the index is 3", "panicked: no such track",]
        );
        assert_eq!(caught(async { Ok::<u8, Error>(7) }).await.expect("done"), 7);
    }
}
