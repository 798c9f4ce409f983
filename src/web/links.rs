//! Links between the pages, which keep the reader's language.

use std::fmt::Write;

/// The home page, perhaps narrowed by one parameter.
pub fn home(lang: &str, narrowed: Option<(&str, &str)>) -> String {
    format!("/{}", here(lang, narrowed))
}

/// The same page in `lang`, with one other parameter kept.
pub fn here(lang: &str, kept: Option<(&str, &str)>) -> String {
    let mut link = format!("?lang={}", escaped(lang));
    if let Some((name, value)) = kept {
        link.push('&');
        link.push_str(name);
        link.push('=');
        link.push_str(&escaped(value));
    }
    link
}

/// `url` with one more parameter.
pub fn with(url: &str, name: &str, value: &str) -> String {
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}{name}={}", escaped(value))
}

/// Percent-encoded but for the unreserved characters of RFC 3986 2.3.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_not_add_a_parameter() {
        assert_eq!(home("en", Some(("topic", "a/b&lang=空"))), "/?lang=en&topic=a%2Fb%26lang%3D%E7%A9%BA");
        assert_eq!(here("zh-Hans", None), "?lang=zh-Hans");
        assert_eq!(with("https://x.test/w?a=1", "lang", "en"), "https://x.test/w?a=1&lang=en");
    }
}
