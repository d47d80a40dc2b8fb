//! The channels that an authorizer allows a connection to use.

use crate::protocol::channel::{Channel, USER};

/// The channels that an authorizer allows a connection: to send to, to subscribe to, and to list.
///
/// The authorizer's context holds them as the text `channels`: patterns separated by blanks, such as `orders.* lobby`,
/// or a JSON array of patterns as text, such as `["orders.*", "lobby"]`. A pattern is the name of a [`Channel`], or a
/// prefix of names and a `*`.
///
/// - `*` alone allows the channel `*` and no other. To allow all channels, leave `channels` out.
/// - Only a pattern that begins with `user:` allows a user's channel: `user:*` or `user:ada`, but not `u*`.
/// - A text without any pattern allows no channel.
///
/// An authorizer that puts a user-chosen name into a pattern must refuse names that contain a `*`. Outside of an array,
/// it must also refuse names that contain a blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelPermissions(Allowed);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    All,
    Only(Vec<Pattern>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Name(Channel),
    Start(String),
}

/// The text is not a pattern of channels.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a pattern of channels is the name of one, or the beginning of names and a *, not {found:?}")]
pub struct InvalidPattern {
    found: String,
}

impl InvalidPattern {
    fn of(text: &str) -> Self {
        Self { found: text.chars().take(Channel::MAX_LENGTH).collect() }
    }
}

/// A connection may not use a channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("You may not use the channel {:?}.", channel.as_str())]
pub struct NotAllowed {
    channel: Channel,
}

impl ChannelPermissions {
    /// Every channel: no restriction.
    pub fn all() -> Self {
        Self(Allowed::All)
    }

    /// No channel.
    pub fn none() -> Self {
        Self(Allowed::Only(vec![]))
    }

    /// Reads patterns separated by blanks, or a JSON array of patterns. A pattern allows no more than it says. A text
    /// without patterns allows no channel.
    ///
    /// # Errors
    /// When one of them is not a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        // No pattern begins with a bracket, so a bracket begins a JSON array.
        let patterns = if text.trim_ascii_start().starts_with('[') {
            let patterns: Vec<String> = serde_json::from_str(text).map_err(|_| InvalidPattern::of(text))?;
            patterns.iter().map(|pattern| Pattern::parse(pattern)).collect::<Result<_, _>>()?
        } else {
            text.split_ascii_whitespace().map(Pattern::parse).collect::<Result<_, _>>()?
        };
        Ok(Self(Allowed::Only(patterns)))
    }

    /// Whether the channel is allowed.
    pub fn allows(&self, channel: &Channel) -> bool {
        match &self.0 {
            Allowed::All => true,
            Allowed::Only(patterns) => patterns.iter().any(|pattern| pattern.allows(channel)),
        }
    }

    /// Checks that the channel is allowed.
    ///
    /// # Errors
    /// When the channel is not allowed.
    pub fn check(&self, channel: &Channel) -> Result<(), NotAllowed> {
        if self.allows(channel) { Ok(()) } else { Err(NotAllowed { channel: channel.clone() }) }
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let pattern = match text.strip_suffix('*') {
            None | Some("") => Channel::parse(text).ok().map(Self::Name),
            // A prefix is a valid name itself, except for `user:`, the prefix of all users' channels.
            Some(start) if start == USER || (!start.contains('*') && Channel::parse(start).is_ok()) => {
                Some(Self::Start(start.to_owned()))
            }
            Some(_) => None,
        };
        pattern.ok_or_else(|| InvalidPattern::of(text))
    }

    fn allows(&self, channel: &Channel) -> bool {
        match self {
            Self::Name(name) => name == channel,
            // An authorizer that allows `u*` does not mean the channels of users.
            Self::Start(start) => {
                channel.as_str().starts_with(start) && channel.is_of_a_user() == start.starts_with(USER)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn channel(name: &str) -> Channel {
        Channel::parse(name).unwrap()
    }

    #[test]
    fn patterns_allow_what_they_name() {
        for (patterns, allowed, others) in [
            (
                "orders.* lobby",
                &["orders.", "orders.eu", "lobby"] as &[_],
                &["orders", "lobby2", "*", "user:ada"] as &[_],
            ),
            ("  lobby\t\n", &["lobby"], &["*"]),
            ("user:ada", &["user:ada"], &["user:adam", "user:Ada", "ada"]),
            ("user:a*", &["user:ada"], &["user:bob", "ada"]),
            ("user:*", &["user:ada", "user:#|ä"], &["users", "*"]),
            (r#"["orders.*", "lobby"]"#, &["orders.eu", "lobby"], &["*", "user:ada"]),
            (r#" ["user:Ada Lovelace"]"#, &["user:Ada Lovelace"], &["user:Ada", "Lovelace"]),
        ] {
            let parsed = ChannelPermissions::parse(patterns).unwrap();
            for name in allowed {
                assert!(parsed.allows(&channel(name)), "{patterns:?} allows {name}");
            }
            for name in others {
                assert!(!parsed.allows(&channel(name)), "{patterns:?} does not allow {name}");
            }
        }
    }

    #[test]
    fn nothing_widens_by_accident() {
        let names = ["*", "lobby", "user:ada", "users"].map(channel);
        let allowed = |patterns: &str| {
            let patterns = ChannelPermissions::parse(patterns).unwrap();
            names.iter().filter(|name| patterns.allows(name)).map(Channel::as_str).collect::<Vec<_>>()
        };
        for nothing in ["", " ", "\n", "[]", " [ ] "] {
            assert!(allowed(nothing).is_empty(), "{nothing:?}");
        }
        assert_eq!(allowed("*"), ["*"], "everyone, and no other");
        assert_eq!(allowed("u*"), ["users"], "not the channels of users");
        assert_eq!(allowed("user*"), ["users"]);
        assert_eq!(allowed("user:*"), ["user:ada"]);
        assert!(names.iter().all(|name| ChannelPermissions::all().allows(name)));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_sentence() {
        for text in [
            "**",
            "lobby a*b",
            "a**",
            "*a",
            "a#*",
            "user:",
            "user:a*b*",
            "a,b",
            "{\"a\":1}",
            "[",
            "[lobby]",
            "[1]",
            r#"["lobby", null]"#,
            r#"["lobby orders"]"#,
            r#"["**"]"#,
            r#"[""]"#,
            r#"["lobby"] orders"#,
        ] {
            let error = ChannelPermissions::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("a pattern of channels is the name of one, or"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), name in "[a-z:*]{1,8}") {
            if let (Ok(patterns), Ok(channel)) = (ChannelPermissions::parse(&text), Channel::parse(name)) {
                patterns.allows(&channel);
            }
        }

        /// A channel is allowed only by a word that is its name, or a prefix of its name and a `*`.
        #[test]
        fn what_is_allowed_was_said(words in prop::collection::vec("[au:]{0,3}(user:)?[a:]{0,3}\\*?", 0..4), name in "(user:)?[au:]{1,4}|\\*") {
            let (Ok(patterns), Ok(channel)) = (ChannelPermissions::parse(&words.join(" ")), Channel::parse(&name)) else {
                return Ok(());
            };
            let said = words.iter().any(|word| match word.strip_suffix('*') {
                Some(start) if !start.is_empty() => name.starts_with(start),
                _ => *word == name,
            });
            prop_assert!(said || !patterns.allows(&channel));
        }
    }
}
