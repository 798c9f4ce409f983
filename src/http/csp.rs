//! The content security policy of the pages (W3C CSP Level 3): nothing from elsewhere, no inline script.

/// Who may put a page into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No page: what is clicked there can't be taken back.
    Nobody,
    /// Only pages of this server.
    Own,
    /// Any page: the embed is made for it.
    Anyone,
}

/// The header's value; `media_origins` are where media is served besides here, such as `https://cdn.example.org`.
///
/// Inline styles stay allowed: media-chrome puts its style sheets into shadow roots as `<style>`.
pub fn policy(media_origins: &[String], framing: Framing) -> String {
    let origins = media_origins.iter().filter(|origin| is_origin(origin));
    let media = origins.fold(String::new(), |all, origin| all + " " + origin);
    let ancestors = match framing {
        Framing::Nobody => "'none'",
        Framing::Own => "'self'",
        Framing::Anyone => "*",
    };
    format!(
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data: blob:{media}; media-src 'self' blob:{media}; connect-src 'self'{media}; \
         worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors {ancestors}"
    )
}

/// A value that could end the directive it stands in is left out.
fn is_origin(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://"))
        && !text.contains(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '\'' | '"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_from_here_only() {
        let policy = policy(&[], Framing::Own);
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'self'"), "{policy}");
    }

    #[test]
    fn a_cdn_may_serve_media_and_pictures_but_no_script() {
        let policy = policy(&["https://cdn.example.org".to_owned()], Framing::Anyone);
        assert!(policy.contains("media-src 'self' blob: https://cdn.example.org;"), "{policy}");
        assert!(policy.contains("connect-src 'self' https://cdn.example.org;"), "{policy}");
        assert_eq!(policy.matches("cdn.example.org").count(), 3);
    }

    #[test]
    fn an_origin_that_breaks_out_of_its_directive_is_left_out() {
        let policy = policy(&["https://x; script-src *".to_owned()], Framing::Own);
        assert!(!policy.contains('*'), "{policy}");
    }
}
