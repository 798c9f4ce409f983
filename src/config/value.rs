//! What the text of a setting has to be. A refusal goes on after `NAME is "TEXT": ` and says what to write instead.

use std::net::SocketAddr;
use std::str::FromStr;

use url::Url;

use super::Span;

/// What a log may be filtered by.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// An address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_syntax| {
        "expected an IP address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned()
    })
}

/// The address of an HTTP server, as browsers and nodes ask for it.
pub fn http_url(text: &str) -> Result<String, String> {
    let url = absolute(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a user and a password have no place in it".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("expected an address without ? and #".to_owned());
    }
    Ok(text.to_owned())
}

/// The address of a hook, which may carry a password or a token.
pub(super) fn hook_url(text: &str) -> Result<String, String> {
    absolute(text).map(|_url| text.to_owned())
}

fn absolute(text: &str) -> Result<Url, String> {
    if !text.contains("://") {
        return Err(format!("no scheme; write {}://{text}", scheme_for(text)));
    }
    let url = Url::parse(text).map_err(|error| format!("no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is {}, expected http or https", url.scheme()));
    }
    Ok(url)
}

/// This machine is asked without TLS.
fn scheme_for(authority: &str) -> &'static str {
    let is_here = ["localhost", "127.", "[::1]"].iter().any(|here| authority.starts_with(here));
    if is_here { "http" } else { "https" }
}

/// The address of a PostgreSQL database.
pub(super) fn postgres_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok();
    match url.filter(|url| matches!(url.scheme(), "postgres" | "postgresql")) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected postgres://user:password@host/database".to_owned()),
    }
}

/// Any number.
pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let is_digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let why = if is_digits { "too large" } else { "expected a whole number, without a unit" };
    text.parse().map_err(|_syntax| why.to_owned())
}

/// A number that nothing works without.
pub(super) fn one_or_more<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    let number = number::<T>(text)?;
    if number < T::from(1) { Err("expected 1 or more".to_owned()) } else { Ok(number) }
}

/// A span of time in which something has to happen.
pub(super) fn some_time(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: super::ParseSpanError| error.to_string())?;
    if span.0.is_zero() { Err("expected 1s or more".to_owned()) } else { Ok(span) }
}

/// A filter of the log: a word alone is a level. `tracing` would take any other for a crate's name and say nothing more.
pub fn log_filter(text: &str) -> Result<String, String> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let alone = text.split(',').map(str::trim).filter(|part| !part.contains(['=', '[', ':']));
    match alone.into_iter().find(|word| !is_level(word)) {
        Some(word) => Err(format!("{word:?} is no level, expected {}", LEVELS.join(", "))),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_refused_with_the_one_to_write() {
        let told = |text| http_url(text).expect_err("refused");
        assert_eq!(told("videos.example.gov"), "no scheme; write https://videos.example.gov");
        assert_eq!(told("localhost:8080"), "no scheme; write http://localhost:8080");
        assert_eq!(told("ftp://a.gov"), "the scheme is ftp, expected http or https");
        assert_eq!(told("https://"), "no URL: empty host");
        assert_eq!(told("https://me:secret@a.gov"), "a user and a password have no place in it");
        assert_eq!(told("https://a.gov/?x=1"), "expected an address without ? and #");
        assert_eq!(http_url("https://a.gov/videos"), Ok("https://a.gov/videos".to_owned()));
        assert!(hook_url("https://me:secret@a.gov/purge?token=1").is_ok());
    }

    #[test]
    fn nothing_works_with_none_of_it() {
        assert_eq!(one_or_more::<usize>("0"), Err("expected 1 or more".to_owned()));
        assert_eq!(one_or_more::<u32>("5000000000"), Err("too large".to_owned()));
        assert_eq!(number::<u64>("64M"), Err("expected a whole number, without a unit".to_owned()));
        assert_eq!(number::<u64>("-1"), Err("expected a whole number, without a unit".to_owned()));
        assert_eq!(some_time("0s"), Err("expected 1s or more".to_owned()));
        assert_eq!(one_or_more::<usize>("1"), Ok(1));
    }

    #[test]
    fn a_log_is_filtered_by_levels_that_there_are() {
        for good in ["info", "policast=debug,warn", "WARN", "h2=off", "policast::live=trace,info"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        assert!(log_filter("warning").expect_err("no level").starts_with("\"warning\" is no level"));
    }
}
