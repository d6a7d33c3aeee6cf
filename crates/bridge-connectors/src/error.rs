//! Errors of a target, each carrying the decision of what to do next (DESIGN section 7).
//!
//! A reason is written for the administrator who reads it in the identity provider: it holds no credential and no value of
//! the person's (see [`crate::plan`] for the masking of what a target says).

use std::fmt;
use std::time::Duration;

/// Longest text that [`TargetError`] displays, in characters.
const LONGEST: usize = 199;

/// Why a target did not do what it was asked, by what the caller should do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetError {
    /// Not reachable or not well: try again later, with back-off.
    Unavailable {
        /// What happened.
        reason: String,
        /// How long the target asked us to wait.
        retry_after: Option<Duration>,
        /// The call may have had its effect: observe before the next write.
        doubt: bool,
    },
    /// Too many calls: try again later; the call had no effect.
    Throttled {
        /// How long the target asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Refused for good, until data or configuration changes.
    Refused {
        /// Stable code: the vendor's, or ours in lower case with dashes.
        code: String,
        /// The vendor's field, if the reply names one.
        field: Option<String>,
        /// What happened.
        reason: String,
        /// The same call may succeed later without any change on our side.
        retry_helps: bool,
    },
    /// A key is held by somebody: the adoption rule decides.
    Conflict {
        /// The vendor's field, if it is known.
        field: Option<String>,
        /// What happened.
        reason: String,
    },
    /// The account to update is gone.
    Missing,
    /// The credential, its rights or the address are not right: pause the target and alert.
    Unauthorized {
        /// What happened.
        reason: String,
    },
    /// The reply could not be read: the call may have had its effect.
    Garbled {
        /// What could not be read.
        reason: String,
    },
}

impl TargetError {
    /// The call may have had its effect, so the account is observed before the next write.
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::Unavailable { doubt, .. } => *doubt,
            Self::Garbled { .. } | Self::Conflict { .. } => true,
            Self::Throttled { .. } | Self::Refused { .. } | Self::Missing | Self::Unauthorized { .. } => false,
        }
    }

    /// Stable code for status, metrics and the identity provider's log.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Unavailable { .. } => "target-unavailable",
            Self::Throttled { .. } => "target-throttled",
            Self::Refused { code, .. } => code,
            Self::Conflict { .. } => "target-conflict",
            Self::Missing => "target-missing",
            Self::Unauthorized { .. } => "target-unauthorized",
            Self::Garbled { .. } => "target-garbled",
        }
    }

    /// How long the target asked us to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Unavailable { reason, .. } => format!("The target is not available: {reason}"),
            Self::Throttled { retry_after: Some(wait) } => {
                format!("The target takes no more calls for {} s", wait.as_secs())
            }
            Self::Throttled { retry_after: None } => "The target takes no more calls for a while".to_owned(),
            Self::Refused { field: Some(field), reason, .. } => format!("The target refused {field}: {reason}"),
            Self::Refused { field: None, reason, .. } => format!("The target refused: {reason}"),
            Self::Conflict { field: Some(field), reason } => format!("The target has this {field} already: {reason}"),
            Self::Conflict { field: None, reason } => format!("The target has this account already: {reason}"),
            Self::Missing => "The account is no longer at the target".to_owned(),
            Self::Unauthorized { reason } => format!("The target does not accept our sign-in: {reason}"),
            Self::Garbled { reason } => format!("The target's reply could not be read: {reason}"),
        };
        formatter.write_str(&shorten(&text, LONGEST))
    }
}

impl std::error::Error for TargetError {}

/// A configuration that no connector can be built from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// At most `longest` characters, the cut marked by an ellipsis.
pub(crate) fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_fits_into_a_log_line_of_the_identity_provider() {
        let error = TargetError::Refused {
            code: "400".into(),
            field: Some("UserRole".into()),
            reason: "é".repeat(1000),
            retry_helps: false,
        };
        assert_eq!(error.to_string().chars().count(), LONGEST);
        assert!(error.to_string().starts_with("The target refused UserRole: é"));
    }

    #[test]
    fn only_calls_that_may_have_worked_leave_doubt() {
        let unavailable = |doubt| TargetError::Unavailable { reason: String::new(), retry_after: None, doubt };
        assert!(unavailable(true).leaves_doubt());
        assert!(!unavailable(false).leaves_doubt());
        assert!(TargetError::Garbled { reason: String::new() }.leaves_doubt());
        assert!(!TargetError::Throttled { retry_after: None }.leaves_doubt());
        assert!(!TargetError::Missing.leaves_doubt());
    }
}
