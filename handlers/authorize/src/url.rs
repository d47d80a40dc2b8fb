//! The URLs that keys may be fetched from. An attacker who can change keys in transit can sign tokens.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::{Uri, uri::Scheme};

/// An `https` URL, or an `http` URL of this machine, for tests and emulators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SafeUrl(String);

/// The text is not a safe URL.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUrl {
    /// It is another kind of URL, or not a URL.
    #[error("{found:?} is no https URL")]
    Unsafe {
        /// The text.
        found: String,
    },
    /// It leads to this machine, or to one next to it.
    #[error("{found:?} leads to an internal address")]
    Internal {
        /// The text.
        found: String,
    },
}

impl SafeUrl {
    /// The URL with this path appended.
    pub(crate) fn join(&self, path: &str) -> Self {
        Self(format!("{}/{path}", self.0.trim_end_matches('/')))
    }

    /// Parses a URL that the document at this URL names.
    ///
    /// The document's author must not make this function request addresses that only this machine reaches: the Lambda
    /// runtime, or a source of credentials. If this URL is of this machine itself, the document may name others of it.
    pub(crate) fn named(&self, text: &str) -> Result<Self, InvalidUrl> {
        let (base, url) = (self.uri(), text.parse::<Self>()?);
        let named = url.uri();
        let host = named.host().unwrap_or_default();
        let of_this_machine = base.host().is_some_and(is_loopback) && is_loopback(host);
        if !of_this_machine && (is_local_name(host) || address(host).is_some_and(is_internal)) {
            return Err(InvalidUrl::Internal { found: text.to_owned() });
        }
        if base.scheme() == Some(&Scheme::HTTPS) && named.scheme() != Some(&Scheme::HTTPS) {
            return Err(InvalidUrl::Unsafe { found: text.to_owned() });
        }
        Ok(url)
    }

    fn uri(&self) -> Uri {
        self.0.parse().unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SafeUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let safe = text.parse::<Uri>().is_ok_and(|uri| match (uri.scheme(), uri.host()) {
            // No issuer needs a user before the host, and it can be mistaken for the host.
            _ if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) => false,
            (Some(scheme), Some(host)) if *scheme == Scheme::HTTPS => !host.is_empty(),
            (Some(scheme), Some(host)) if *scheme == Scheme::HTTP => is_loopback(host),
            _ => false,
        });
        if safe { Ok(Self(text.to_owned())) } else { Err(InvalidUrl::Unsafe { found: text.to_owned() }) }
    }
}

/// Whether the host is an address of this machine, or `localhost`.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

/// Whether the host is `localhost` or a name below it ([RFC 6761](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
pub(crate) fn is_local_name(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether the address belongs to this machine, or only to machines next to it. These are loopback, link-local (a
/// source of credentials), AWS's own range of IPv6, and addresses of no single machine.
///
/// Private networks are not internal: an issuer may be in the user's own VPC.
pub(crate) fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_internal_v4(address),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || address.segments()[..2] == [0xfd00, 0x0ec2]
                || embedded(address).is_some_and(is_internal_v4)
        }
    }
}

fn is_internal_v4(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
}

/// The IPv4 address embedded in an IPv6 address: mapped, compatible, translated ([RFC 6052]) or 6to4.
///
/// [RFC 6052]: https://www.rfc-editor.org/rfc/rfc6052#section-2.1
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, .., high, low] = address.segments();
    let (high, low) = match (first, second) {
        (0x2002, _) => (address.segments()[1], address.segments()[2]),
        (0x64, 0xff9b) => (high, low),
        _ => return address.to_ipv4(),
    };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
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
            "https://example.com@169.254.169.254/keys",
        ] {
            assert_eq!(text.parse::<SafeUrl>().unwrap_err().to_string(), format!("{text:?} is no https URL"));
        }
    }

    #[test]
    fn a_document_names_no_address_inside() {
        let issuer: SafeUrl = "https://issuer.example.com/".parse().unwrap();
        for text in ["https://issuer.example.com/keys", "https://keys.example.com", "https://10.0.0.7/keys"] {
            assert_eq!(issuer.named(text).unwrap().as_str(), text);
        }
        for text in [
            "https://127.0.0.1/keys",
            "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
            "http://localhost/keys",
            "https://LOCALHOST./keys",
            "https://api.localhost/keys",
            "https://0.0.0.0/keys",
            "https://169.254.169.254/latest/meta-data",
            "https://169.254.100.1/keys",
            "https://[::1]/keys",
            "https://[::]/keys",
            "https://[::127.0.0.1]/keys",
            "https://[::ffff:169.254.169.254]/keys",
            "https://[64:ff9b::a9fe:a9fe]/keys",
            "https://[2002:7f00:1::]/keys",
            "https://[fe80::1]/keys",
            "https://[fd00:ec2::254]/keys",
            "https://224.0.0.1/keys",
            "https://255.255.255.255/keys",
        ] {
            let error = issuer.named(text).unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} leads to an internal address"));
        }
        for text in ["http://example.com/keys", "keys", "https://a@example.com/keys"] {
            let error = issuer.named(text).unwrap_err();
            assert_eq!(error.to_string(), format!("{text:?} is no https URL"));
        }
    }

    #[test]
    fn an_issuer_of_this_machine_may_name_another_of_it() {
        let issuer: SafeUrl = "http://127.0.0.1:8080".parse().unwrap();
        for text in ["http://127.0.0.1:8080/keys", "http://localhost:8081/keys", "https://example.com/keys"] {
            assert_eq!(issuer.named(text).unwrap().as_str(), text);
        }
        assert!(issuer.named("https://169.254.169.254/keys").is_err());
        let encrypted: SafeUrl = "https://localhost:8443".parse().unwrap();
        assert!(encrypted.named("https://localhost:8443/keys").is_ok());
        let error = encrypted.named("http://localhost:8080/keys").unwrap_err();
        assert_eq!(error.to_string(), r#""http://localhost:8080/keys" is no https URL"#);
    }

    #[test]
    fn a_path_is_joined_with_one_slash() {
        for base in ["https://example.com", "https://example.com/"] {
            let url = base.parse::<SafeUrl>().unwrap().join(".well-known/openid-configuration");
            assert_eq!(url.as_str(), "https://example.com/.well-known/openid-configuration");
        }
    }

    proptest! {
        /// Every accepted URL uses https, or is of this machine.
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
