//! Checks the claims of a token: its issuer, its audience and its time.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::denial::Denial;

/// The maximum difference between the issuer's clock and ours, in seconds.
const LEEWAY: u64 = 30;

/// The claims that a valid token must have.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) issuer: String,
    pub(crate) audiences: Vec<String>,
    /// The claim that names the client. It counts as the audience if a token has no `aud`.
    pub(crate) client_claim: Option<String>,
}

impl Rules {
    /// Checks the claims of a token whose signature is valid.
    pub(crate) fn check(&self, claims: &Map<String, Value>) -> Result<(), Denial> {
        self.check_at(claims, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    fn check_at(&self, claims: &Map<String, Value>, now: u64) -> Result<(), Denial> {
        let expires = claims.get("exp").and_then(seconds).ok_or(Denial::missing("exp"))?;
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(Denial::missing("iss"))?;
        let audiences = self.audiences_of(claims)?;
        let valid_from = match claims.get("nbf") {
            None => 0,
            Some(time) => seconds(time).ok_or(Denial::missing("nbf"))?,
        };
        if expires.saturating_add(LEEWAY) < now {
            Err(Denial::Expired)
        } else if valid_from > now.saturating_add(LEEWAY) {
            Err(Denial::NotYetValid)
        } else if issuer != self.issuer {
            Err(Denial::WrongIssuer)
        } else if !audiences.iter().any(|audience| self.audiences.iter().any(|ours| ours == audience)) {
            Err(Denial::WrongAudience)
        } else {
            Ok(())
        }
    }

    /// The audiences of a token. The client counts only without `aud`, as in [API Gateway's own authorizer of HTTP
    /// APIs][jwt].
    ///
    /// [jwt]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
    fn audiences_of<'a>(&self, claims: &'a Map<String, Value>) -> Result<Vec<&'a str>, Denial> {
        let audiences = match (claims.get("aud"), &self.client_claim) {
            (Some(Value::Array(list)), _) => list.iter().map(Value::as_str).collect(),
            (Some(one), _) => one.as_str().map(|one| vec![one]),
            (None, Some(name)) => {
                let client = claims.get(name).and_then(Value::as_str);
                return Ok(vec![client.ok_or_else(|| Denial::missing(name))?]);
            }
            (None, None) => None,
        };
        audiences.ok_or(Denial::missing("aud"))
    }
}

/// A [`NumericDate`](https://www.rfc-editor.org/rfc/rfc7519#section-2), in whole seconds.
fn seconds(time: &Value) -> Option<u64> {
    let fraction = || time.as_f64().filter(|seconds| (0.0..u64::MAX as f64).contains(seconds));
    time.as_u64().or_else(|| fraction().map(|seconds| seconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    /// The result for valid claims with these changes.
    fn checked(client_claim: Option<&str>, changes: &Value) -> Result<(), Denial> {
        let rules = Rules {
            issuer: "me".to_owned(),
            audiences: vec!["web".to_owned(), "mobile".to_owned()],
            client_claim: client_claim.map(str::to_owned),
        };
        let mut claims = json!({"iss": "me", "aud": "web", "exp": NOW + 600});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| *value != "nothing");
        rules.check_at(claims.as_object().unwrap(), NOW)
    }

    #[test]
    fn clocks_may_be_half_a_minute_apart() {
        for (changes, outcome) in [
            (json!({"exp": NOW - 30}), Ok(())),
            (json!({"exp": NOW - 31}), Err(Denial::Expired)),
            (json!({"exp": NOW as f64 - 30.6}), Err(Denial::Expired)),
            (json!({"exp": u64::MAX}), Ok(())),
            (json!({"nbf": NOW + 30}), Ok(())),
            (json!({"nbf": NOW + 31}), Err(Denial::NotYetValid)),
            (json!({"nbf": u64::MAX}), Err(Denial::NotYetValid)),
        ] {
            assert_eq!(checked(None, &changes), outcome, "{changes}");
        }
    }

    #[test]
    fn the_claim_that_is_missing_or_of_another_type_is_told() {
        for (client_claim, changes, claim) in [
            (None, json!({"exp": "nothing"}), "exp"),
            (None, json!({"exp": -1}), "exp"),
            (None, json!({"exp": 1e300}), "exp"),
            (None, json!({"exp": "nothing", "iss": "nothing", "aud": "nothing"}), "exp"),
            (None, json!({"iss": ["me"], "aud": 7}), "iss"),
            (None, json!({"aud": "nothing", "client_id": "web"}), "aud"),
            (None, json!({"aud": ["web", 7]}), "aud"),
            (None, json!({"nbf": "0"}), "nbf"),
            (None, json!({"nbf": null}), "nbf"),
            (Some("client_id"), json!({"aud": "nothing"}), "client_id"),
            (Some("azp"), json!({"aud": "nothing", "azp": ["web"]}), "azp"),
            (Some("azp"), json!({"aud": null, "azp": "web"}), "aud"),
        ] {
            let denial = checked(client_claim, &changes).unwrap_err();
            assert_eq!((denial.code(), denial.claim()), ("missing_claim", Some(claim)), "{changes}");
        }
    }

    #[test]
    fn the_client_counts_where_there_is_no_audience() {
        for (audience, client, outcome) in [
            (json!("nothing"), "web", Ok(())),
            (json!("nothing"), "other", Err(Denial::WrongAudience)),
            (json!("other"), "web", Err(Denial::WrongAudience)),
            (json!([]), "web", Err(Denial::WrongAudience)),
            (json!(["other", "mobile"]), "other", Ok(())),
        ] {
            let changes = json!({"aud": audience, "client_id": client});
            assert_eq!(checked(Some("client_id"), &changes), outcome, "{changes}");
        }
    }
}
