//! The stream id: a plain key, or the list `#!::r=KEY,m=publish` of SRT's access control.

/// What the caller wants; without a word on it, to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Publish,
    Request,
    Bidirectional,
}

/// A stream id as it was sent, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamId(String);

impl StreamId {
    pub fn new(raw: impl Into<String>) -> Self {
        StreamId(raw.into())
    }

    /// The stream key: all of a plain id, the `r` of a list; none where that is missing or empty. What other servers want
    /// before it (`live/KEY` as by RTMP, `publish:KEY`) is left out.
    pub fn key(&self) -> Option<&str> {
        let id = if self.0.starts_with("#!:") { self.field("r")? } else { &self.0 };
        let id = id.trim().trim_matches('/');
        let id = id.strip_prefix("publish:").unwrap_or(id);
        let key = id.rsplit('/').next().unwrap_or(id).trim();
        (!key.is_empty()).then_some(key)
    }

    pub fn mode(&self) -> Mode {
        match self.field("m") {
            Some("request") => Mode::Request,
            Some("bidirectional") => Mode::Bidirectional,
            _ => Mode::Publish,
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let pairs = self.0.strip_prefix("#!::")?.split(',');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_id_is_the_key() {
        assert_eq!(StreamId::new("abc-123").key(), Some("abc-123"));
        assert_eq!(StreamId::new("abc=1,2").key(), Some("abc=1,2"));
    }

    #[test]
    fn what_other_servers_want_before_the_key_is_left_out() {
        for id in
            ["live/abc", "/live/abc", "publish:abc", "publish:live/abc", " abc\n", "#!::r=live/abc,m=publish"]
        {
            assert_eq!(StreamId::new(id).key(), Some("abc"), "{id:?}");
        }
    }

    #[test]
    fn a_list_names_the_key_and_the_mode() {
        let id = StreamId::new("#!::u=admin,r=abc=1,m=publish");
        assert_eq!((id.key(), id.mode()), (Some("abc=1"), Mode::Publish));
        assert_eq!(StreamId::new("#!::m=request,r=abc").mode(), Mode::Request);
        assert_eq!(StreamId::new("#!::r=abc").mode(), Mode::Publish);
    }

    #[test]
    fn an_id_without_a_key_has_none() {
        for raw in ["", " ", "#!::", "#!::m=publish", "#!::r=", "#!:{r:abc}", "#!::,,=,r"] {
            assert_eq!(StreamId::new(raw).key(), None, "{raw}");
        }
    }
}
