//! Signatures of posts to `@connections`: AWS Signature Version 4, with the key derived once a day.
//!
//! A broadcast signs each of its posts. The crate `aws-sigv4` derives the key anew for each. The [algorithm] is small;
//! the tests compare signatures with that crate's.
//!
//! [algorithm]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use std::fmt::Write;

use aws_credential_types::Credentials;
use ring::hmac::{HMAC_SHA256, Key, sign};

use crate::hash::{hex, sha256};

const SERVICE: &str = "execute-api";

/// The key that signs the requests of one day, to one region, with these credentials.
pub(crate) struct SigningKey {
    key: Key,
    access_key_id: String,
    /// Day, region and service.
    scope: String,
    /// For the header `x-amz-security-token`.
    pub(crate) session_token: Option<String>,
}

/// What a signature covers.
pub(crate) struct Post<'a> {
    /// The path as it is sent, percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) content_type: &'a str,
    /// The time as in the header `x-amz-date`, such as `20261126T142500Z`.
    pub(crate) date: &'a str,
    /// The body's SHA-256, in hex.
    pub(crate) body_sha256: &'a str,
}

impl SigningKey {
    /// Derives the key of this day, such as `20261126`.
    pub(crate) fn derive(credentials: &Credentials, region: &str, day: &str) -> Self {
        Self::derive_for(credentials, region, SERVICE, day)
    }

    fn derive_for(credentials: &Credentials, region: &str, service: &str, day: &str) -> Self {
        let secret = format!("AWS4{}", credentials.secret_access_key());
        let mut key = Key::new(HMAC_SHA256, secret.as_bytes());
        for part in [day, region, service, "aws4_request"] {
            key = Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref());
        }
        Self {
            key,
            access_key_id: credentials.access_key_id().to_owned(),
            scope: format!("{day}/{region}/{service}/aws4_request"),
            session_token: credentials.session_token().map(str::to_owned),
        }
    }

    /// The header `authorization` of a post.
    pub(crate) fn authorization(&self, post: &Post<'_>) -> String {
        let Post { path, host, content_type, date, body_sha256 } = post;
        let mut request = String::with_capacity(512 + self.session_token.as_ref().map_or(0, String::len));
        request.push_str("POST\n");
        // Encoded once more than it is sent, as for every service but S3.
        escape_into(&mut request, path, |byte| byte == b'/');
        let _ = write!(request, "\n\ncontent-type:{content_type}\nhost:{host}\nx-amz-date:{date}\n");
        let headers = if let Some(token) = &self.session_token {
            let _ = writeln!(request, "x-amz-security-token:{token}");
            "content-type;host;x-amz-date;x-amz-security-token"
        } else {
            "content-type;host;x-amz-date"
        };
        let _ = write!(request, "\n{headers}\n{body_sha256}");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{}\n{}", self.scope, sha256(request.as_bytes()));
        let signature = sign(&self.key, text.as_bytes());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={headers}, Signature={}",
            self.access_key_id,
            self.scope,
            hex(signature.as_ref())
        )
    }
}

/// The text, percent-encoded but for unreserved characters, as RFC 3986 calls them.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    escape_into(&mut escaped, text, |_| false);
    escaped
}

fn escape_into(escaped: &mut String, text: &str, also: impl Fn(u8) -> bool) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also(byte) {
            escaped.push(byte.into());
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::time::amz_date;

    /// The header that `aws-sigv4` makes.
    fn theirs(credentials: &Credentials, region: &str, seconds: u64, uri: &str, body: &str) -> String {
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(SERVICE)
            .time(UNIX_EPOCH + Duration::from_secs(seconds))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let headers = [("content-type", "application/octet-stream")];
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", uri, headers.into_iter(), body).unwrap();
        let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
        let mut headers = instructions.headers();
        headers.find(|(name, _)| *name == "authorization").unwrap().1.to_owned()
    }

    /// The case `post-x-www-form-urlencoded` of the test suite that AWS published for Signature Version 4: the one with
    /// the headers that a post has.
    #[test]
    fn a_signature_is_the_one_that_aws_published() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", secret, None, None, "test");
        let key = SigningKey::derive_for(&credentials, "us-east-1", "service", "20150830");
        let authorization = key.authorization(&Post {
            path: "/",
            host: "example.amazonaws.com",
            content_type: "application/x-www-form-urlencoded",
            date: "20150830T123600Z",
            body_sha256: &sha256(b"Param1=value1"),
        });
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        assert_eq!(authorization, expected);
    }

    proptest! {
        #[test]
        fn a_signature_is_the_one_of_the_sdk(
            secret in "[A-Za-z0-9/+]{40}",
            token in proptest::option::of("[A-Za-z0-9/+=]{16,1200}"),
            host in "[a-z0-9]{10}\\.execute-api\\.[a-z]{2}-[a-z]{4,9}-[1-9]\\.amazonaws\\.com(:8443)?",
            base in "(/[a-zA-Z0-9_$.-]{1,20}[a-z]){0,3}",
            id in "[A-Za-z0-9_/+-]{1,20}={0,2}",
            seconds in 1_700_000_000_u64..4_000_000_000,
            body in ".{0,200}",
        ) {
            let credentials = Credentials::new("AKIDEXAMPLE", secret, token, None, "test");
            let (date, path) = (amz_date(seconds), format!("{base}/@connections/{}", escape(&id)));
            let key = SigningKey::derive(&credentials, "eu-central-1", &date[..8]);
            let ours = key.authorization(&Post {
                path: &path,
                host: &host,
                content_type: "application/octet-stream",
                date: &date,
                body_sha256: &sha256(body.as_bytes()),
            });
            let uri = format!("https://{host}{path}");
            prop_assert_eq!(ours, theirs(&credentials, "eu-central-1", seconds, &uri, &body));
        }
    }
}
