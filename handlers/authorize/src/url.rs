//! Where keys may be fetched: who can change them on the way can sign tokens.

use std::{fmt, net::IpAddr, str::FromStr};

use http::{Uri, uri::Scheme};

/// An `https` URL; or an `http` one of this machine, for tests and emulators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SafeUrl(String);

/// The text is no such URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} is no https URL")]
pub struct InvalidUrl {
    found: String,
}

impl SafeUrl {
    /// The URL with this path behind it.
    pub(crate) fn join(&self, path: &str) -> Self {
        Self(format!("{}/{path}", self.0.trim_end_matches('/')))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SafeUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let safe = text.parse::<Uri>().is_ok_and(|uri| match (uri.scheme(), uri.host()) {
            (Some(scheme), Some(host)) if *scheme == Scheme::HTTPS => !host.is_empty(),
            (Some(scheme), Some(host)) if *scheme == Scheme::HTTP => is_loopback(host),
            _ => false,
        });
        if safe { Ok(Self(text.to_owned())) } else { Err(InvalidUrl { found: text.to_owned() }) }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::hostile;

    use super::*;

    #[test]
    fn keys_come_by_https_or_from_this_machine() {
        for text in [
            "https://example.com",
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
            "http://127.0.0.1:8080/keys",
            "http://[::1]:8080/",
            "http://localhost",
        ] {
            assert_eq!(text.parse::<SafeUrl>().unwrap().as_str(), text);
        }
        for text in [
            "",
            "example.com",
            "/keys",
            "http://example.com",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "http://localhost.example.com",
            "file:///etc/passwd",
            "https://",
            "https:// example.com",
        ] {
            assert_eq!(text.parse::<SafeUrl>().unwrap_err().to_string(), format!("{text:?} is no https URL"));
        }
    }

    #[test]
    fn a_path_is_joined_with_one_slash() {
        for base in ["https://example.com", "https://example.com/"] {
            let url = base.parse::<SafeUrl>().unwrap().join(".well-known/openid-configuration");
            assert_eq!(url.as_str(), "https://example.com/.well-known/openid-configuration");
        }
    }

    proptest! {
        /// What is let through is of https, or of this machine.
        #[test]
        fn any_text_is_safe_or_refused(text in prop_oneof![
            any::<String>(),
            "(https?|HTTPS?|ftp)://[a-z0-9@:.\\[\\]\\\\#?/%-]{0,16}(localhost|127\\.0\\.0\\.1|example\\.com)?[@:#?/.a-z0-9]{0,8}",
            hostile::near("http://localhost:8080/keys"),
        ]) {
            if let Ok(url) = text.parse::<SafeUrl>() {
                let uri: Uri = url.as_str().parse().unwrap();
                let host = uri.host().unwrap();
                prop_assert!(uri.scheme_str() == Some("https") || is_loopback(host), "{}", text);
            }
        }
    }
}
