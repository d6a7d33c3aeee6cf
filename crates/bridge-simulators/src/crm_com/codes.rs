//! Error codes and the envelope of CRM.COM answers (CRM.COM dossier sections 1 and 10).
//!
//! The codes of the users and authentication methods are not published; these are composed in the documented form.

use serde_json::{Value, json};

use crate::wire::Reply;

/// A business error: HTTP 200 with an error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BusinessError {
    /// Full code, upper case.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The kinds of business error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidToken,
    InvalidCredentials,
    PermissionDenied,
    UsernameAlreadyExists,
    EmailAlreadyExists,
    UserNotFound,
    UserTemplateNotFound,
    SecurityProfileNotFound,
    UnitNotFound,
    GroupNotFound,
    PasswordPolicy,
    PasswordConfirmationMismatch,
    OldPasswordMismatch,
    MandatoryParameterMissing,
    OnlyOneIdentifierAllowed,
    CtiExtensionMandatory,
    InvalidParameterValue,
    InvalidRequest,
    BusinessRule,
}

impl Code {
    /// Module and name of the exception; the first ten of the dossier's list are spelled as there.
    fn name(self) -> &'static str {
        match self {
            Self::InvalidToken => "SECURITY.INVALIDTOKEN",
            Self::InvalidCredentials => "SECURITY.INVALIDCREDENTIALS",
            Self::PermissionDenied => "SECURITY.PERMISSIONDENIED",
            Self::UsernameAlreadyExists => "USERS.USERNAMEALREADYEXISTS",
            Self::EmailAlreadyExists => "USERS.EMAILALREADYEXISTS",
            Self::UserNotFound => "USERS.USERNOTFOUND",
            Self::UserTemplateNotFound => "USERS.USERTEMPLATENOTFOUND",
            Self::SecurityProfileNotFound => "SECURITY.SECURITYPROFILENOTFOUND",
            Self::UnitNotFound => "COMMON.UNITNOTFOUND",
            Self::GroupNotFound => "COMMON.GROUPNOTFOUND",
            Self::PasswordPolicy => "USERS.PASSWORDPOLICY",
            Self::PasswordConfirmationMismatch => "USERS.PASSWORDCONFIRMATIONMISMATCH",
            Self::OldPasswordMismatch => "USERS.OLDPASSWORDMISMATCH",
            Self::MandatoryParameterMissing => "COMMON.MANDATORYPARAMETERMISSING",
            Self::OnlyOneIdentifierAllowed => "COMMON.ONLYONEIDENTIFIERALLOWED",
            Self::CtiExtensionMandatory => "USERS.CTIEXTENSIONMANDATORY",
            Self::InvalidParameterValue => "COMMON.INVALIDPARAMETERVALUE",
            Self::InvalidRequest => "COMMON.INVALIDREQUEST",
            Self::BusinessRule => "USERS.BUSINESSRULE",
        }
    }

    /// The error with a message for people.
    pub(crate) fn says(self, message: impl Into<String>) -> BusinessError {
        BusinessError { code: format!("COM.CRM.EXCEPTION.{}EXCEPTION", self.name()), message: message.into() }
    }
}

/// The envelope of a success.
pub(crate) fn success(data: Option<Value>) -> Reply {
    let mut body = json!({"status": {"code": "OK", "message": "", "description": ""}});
    if let (Some(data), Some(members)) = (data, body.as_object_mut()) {
        members.insert("data".to_owned(), data);
    }
    Reply::json(200, &body, "OK")
}

/// The envelope of a business error.
pub(crate) fn failure(error: &BusinessError) -> Reply {
    let status = json!({"code": error.code, "message": error.message, "description": ""});
    Reply::json(200, &json!({"status": status, "data": null}), format!("{}: {}", error.code, error.message))
}
