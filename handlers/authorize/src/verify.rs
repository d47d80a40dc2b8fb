//! Whether a token is good: signed with the issuer's key, for this audience, now.

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use crate::{crypto, denial::Denial, key::Key};

/// How far the issuer's clock and ours may be apart, in seconds.
const LEEWAY: u64 = 30;

/// What a token must say to be good here.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    rules: Validation,
}

/// What a token says of its signature. Nothing of it is known to be true yet.
pub(crate) fn header(token: &str) -> Result<Header, Denial> {
    let header = decode_header(token).map_err(|_| Denial::Malformed)?;
    // Who does not understand all of these has to refuse (RFC 7515, 4.1.11); the crate does not look at them.
    if header.crit.is_some() { Err(Denial::UnknownExtension) } else { Ok(header) }
}

impl Verifier {
    /// Tokens must be of this issuer, for one of these audiences.
    pub(crate) fn new(issuer: &str, audiences: &[String]) -> Self {
        crypto::install();
        // The algorithm is the key's; this one is replaced.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        rules.set_issuer(&[issuer]);
        rules.set_audience(audiences);
        Self { rules }
    }

    /// The claims of a token that is good.
    pub(crate) fn verify(&self, token: &str, key: &Key) -> Result<Map<String, Value>, Denial> {
        let rules = Validation { algorithms: vec![key.algorithm], ..self.rules.clone() };
        decode(token, &key.decoding, &rules).map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidAlgorithm => Denial::WrongAlgorithm,
            ErrorKind::InvalidSignature => Denial::BadSignature,
            ErrorKind::ExpiredSignature => Denial::Expired,
            ErrorKind::ImmatureSignature => Denial::NotYetValid,
            ErrorKind::InvalidIssuer => Denial::WrongIssuer,
            ErrorKind::InvalidAudience => Denial::WrongAudience,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Denial::MissingClaim,
            _ => Denial::Malformed,
        })
    }
}
