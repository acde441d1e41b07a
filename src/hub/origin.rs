//! Which pages may connect.
//!
//! A browser lets any page open a WebSocket to any host and tells the host only the page's origin; everything else
//! that connects sends none. Never looks at who the peer says it is.

use std::{fmt, str::FromStr};

use axum::http::{HeaderMap, Uri, header};

/// An origin that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginRule {
    /// Every page.
    Any,
    /// Pages of exactly this origin.
    Exact(String),
}

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an origin looks like https://example.com or http://example.com:8080 (or * for every origin)")]
pub struct InvalidOrigin;

impl FromStr for OriginRule {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "*" {
            return Ok(Self::Any);
        }
        normal(text).map(|origin| Self::Exact(format!("{}://{}", origin.scheme, origin.authority))).ok_or(InvalidOrigin)
    }
}

impl fmt::Display for OriginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
        }
    }
}

struct Origin {
    scheme: String,
    /// Without the scheme's own port.
    authority: String,
    host: String,
}

/// Reads an origin; its scheme's own port is left away, as browsers do.
fn normal(text: &str) -> Option<Origin> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if scheme.is_empty() || rest.is_empty() || rest.contains(['/', '?', '#', '@']) {
        return None;
    }
    let uri: Uri = format!("{scheme}://{rest}").parse().ok()?;
    let host = uri.host()?.to_ascii_lowercase();
    let authority = match (uri.port_u16(), scheme.as_str()) {
        (None | Some(80), "http") | (None | Some(443), "https") | (None, _) => host.clone(),
        (Some(port), _) => format!("{host}:{port}"),
    };
    Some(Origin { scheme, authority, host })
}

/// Returns whether a request with these headers may open a socket.
pub(super) fn may_connect(headers: &HeaderMap, rules: &[OriginRule]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    if rules.contains(&OriginRule::Any) {
        return true;
    }
    let Some(origin) = origin.to_str().ok().and_then(normal) else { return false };
    if !matches!(origin.scheme.as_str(), "http" | "https") {
        return rules.contains(&OriginRule::Exact(format!("{}://{}", origin.scheme, origin.authority)));
    }
    if matches!(origin.host.as_str(), "localhost" | "127.0.0.1" | "[::1]") {
        return true;
    }
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(|host| normal(&format!("{}://{host}", origin.scheme)));
    own.is_some_and(|own| own.authority == origin.authority)
        || rules.contains(&OriginRule::Exact(format!("{}://{}", origin.scheme, origin.authority)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origin: Option<&str>, host: &str, rules: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let rules: Vec<OriginRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        may_connect(&headers, &rules)
    }

    #[test]
    fn native_clients_loopback_pages_and_own_pages_may_connect() {
        for origin in
            [None, Some("http://localhost:5173"), Some("http://127.0.0.1"), Some("https://[::1]:9"), Some("https://Hub.example.com")]
        {
            assert!(asked(origin, "hub.example.com", &[]), "{origin:?}");
        }
        assert!(asked(Some("http://hub.example.com:8787"), "hub.example.com:8787", &[]));
    }

    #[test]
    fn foreign_pages_may_not() {
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://hub.example.com:1",
            "http://evil.example@localhost",
            "file://",
            "",
        ] {
            assert!(!asked(Some(origin), "hub.example.com", &[]), "{origin:?}");
        }
    }

    #[test]
    fn named_origins_are_added_exactly() {
        assert!(asked(Some("https://app.example"), "hub", &["https://app.example:443/"]));
        assert!(!asked(Some("http://app.example"), "hub", &["https://app.example"]));
        assert!(!asked(Some("https://app.example:444"), "hub", &["https://app.example"]));
        assert!(asked(Some("capacitor://localhost"), "hub", &["capacitor://localhost"]));
        assert!(asked(Some("null"), "hub", &["*"]));
    }

    #[test]
    fn what_is_no_origin_is_no_rule() {
        for text in ["", "example.com", "https://", "https://a/b", "https://a?b", "http://a b"] {
            assert_eq!(text.parse::<OriginRule>(), Err(InvalidOrigin), "{text:?}");
        }
    }
}
