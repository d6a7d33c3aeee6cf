//! Quirks by name: what each is called, how a strict connection answers it, and whether the RFCs allow it.

use std::fmt;

use crate::ScimType;

/// Something a request needed forgiveness for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quirk {
    /// An attribute, or a member of a message, that no schema knows; ignored.
    UnknownAttribute,
    /// An extension that is not known; ignored.
    UnknownSchema,
    /// An attribute that only the bridge sets; ignored.
    ReadOnlyAttribute,
    /// `schemas` is missing, or not what the message should have: an extension that the body uses is not named.
    Schemas,
    /// The URN of an older draft.
    LegacyUrn,
    /// A name in another letter case.
    OtherCase,
    /// `op` in another letter case.
    OperationCase,
    /// A member of a message that stands for another one, such as `displayName` for `display`.
    OtherName,
    /// A boolean as a text.
    TextForBoolean,
    /// A number as a text.
    TextForNumber,
    /// A text as a number.
    NumberForText,
    /// A whole number with a fraction of zero, or an exponent.
    DecimalForInteger,
    /// Base64 in lines or with blanks, in the alphabet for addresses, or with the first and last line of a file.
    Base64Form,
    /// One value where there is a list.
    SingleForList,
    /// A list of one where there is no list.
    ListForSingle,
    /// A text where there is an object.
    TextForComplex,
    /// A JSON object inside a text.
    ObjectInText,
    /// `name.givenName` as a key.
    DottedKey,
    /// `urn:…:User:department` as a key.
    UrnKey,
    /// `emails[type eq "work"].value` as a key.
    PathKey,
    /// An enterprise attribute without its URN.
    BareEnterpriseAttribute,
    /// A value path that selects nothing; the element was made.
    ElementMade,
    /// A value path that selects nothing; nothing was done.
    NothingSelected,
    /// `remove` with a value.
    RemoveWithValue,
    /// An empty text or object, which unassigns like null.
    EmptyValue,
    /// Something that cannot be unassigned was left as it is.
    NotUnassigned,
    /// The name that Entra ID gives to a user it deleted, for a user who is active; the name before it was taken.
    DeletedUserName,
    /// A text without quotes in a filter or path.
    UnquotedValue,
    /// `true`, `false` or `null` of a filter in another letter case.
    LiteralCase,
    /// Blanks where there are none, or none or several where there is one.
    OtherSpaces,
    /// A comparison behind the brackets of a value path, in a filter.
    ComparedValuePath,
    /// A parameter of a query in another letter case, or its fixed word.
    ParameterCase,
    /// A parameter of a query without a value, or an empty name in its list.
    EmptyParameter,
    /// The same parameter of a query twice, with the same value.
    RepeatedParameter,
    /// An `&` with nothing to separate, or a second `?`.
    StraySeparator,
    /// A `%` that escapes nothing.
    StrayPercent,
    /// `path` is an empty text.
    EmptyPath,
    /// A path of a PATCH operation, or a key of one without a path, that no schema knows; ignored.
    UnknownPath,
    /// A member of a message, such as `Operations`, in another letter case.
    MemberCase,
    /// The path of a bulk operation is not `/Users` or `/Users/{id}`, but a whole address, or written in another way.
    BulkPath,
    /// A bulk operation creates a resource without a `bulkId`.
    NoBulkId,
    /// A `failOnErrors` below 1; the request has no limit of errors.
    NoErrorLimit,
    /// More than one value of a list is primary; the last one is.
    SeveralPrimary,
    /// A parameter of a query that nobody knows, or that says nothing where it stands; ignored.
    IgnoredParameter,
    /// A slash too many in an address.
    ExtraSlash,
    /// An address in another letter case, or by a name of its own such as `/ServiceConfiguration`.
    OtherAddress,
    /// A body without a media type.
    NoMediaType,
    /// A token without the word `Bearer`.
    BareToken,
    /// A version without quotes.
    BareTag,
    /// A byte order mark before the JSON.
    ByteOrderMark,
    /// A name that is twice in one JSON object; the last one counts.
    RepeatedMember,
    /// An operation of a PATCH without a path: what it sets are the keys of its value.
    NoPath,
}

impl Quirk {
    /// All of them.
    pub const ALL: [Self; 52] = [
        Self::UnknownAttribute,
        Self::UnknownSchema,
        Self::ReadOnlyAttribute,
        Self::Schemas,
        Self::LegacyUrn,
        Self::OtherCase,
        Self::OperationCase,
        Self::OtherName,
        Self::TextForBoolean,
        Self::TextForNumber,
        Self::NumberForText,
        Self::DecimalForInteger,
        Self::Base64Form,
        Self::SingleForList,
        Self::ListForSingle,
        Self::TextForComplex,
        Self::ObjectInText,
        Self::DottedKey,
        Self::UrnKey,
        Self::PathKey,
        Self::BareEnterpriseAttribute,
        Self::ElementMade,
        Self::NothingSelected,
        Self::RemoveWithValue,
        Self::EmptyValue,
        Self::NotUnassigned,
        Self::DeletedUserName,
        Self::UnquotedValue,
        Self::LiteralCase,
        Self::OtherSpaces,
        Self::ComparedValuePath,
        Self::ParameterCase,
        Self::EmptyParameter,
        Self::RepeatedParameter,
        Self::StraySeparator,
        Self::StrayPercent,
        Self::EmptyPath,
        Self::UnknownPath,
        Self::MemberCase,
        Self::BulkPath,
        Self::NoBulkId,
        Self::NoErrorLimit,
        Self::SeveralPrimary,
        Self::IgnoredParameter,
        Self::ExtraSlash,
        Self::OtherAddress,
        Self::NoMediaType,
        Self::BareToken,
        Self::BareTag,
        Self::ByteOrderMark,
        Self::RepeatedMember,
        Self::NoPath,
    ];

    /// Its name in metrics and listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownAttribute => "unknown_attribute",
            Self::UnknownSchema => "unknown_schema",
            Self::ReadOnlyAttribute => "read_only_attribute",
            Self::Schemas => "schemas",
            Self::LegacyUrn => "legacy_urn",
            Self::OtherCase => "other_case",
            Self::OperationCase => "operation_case",
            Self::OtherName => "other_name",
            Self::TextForBoolean => "text_for_boolean",
            Self::TextForNumber => "text_for_number",
            Self::NumberForText => "number_for_text",
            Self::DecimalForInteger => "decimal_for_integer",
            Self::Base64Form => "base64_form",
            Self::SingleForList => "single_for_list",
            Self::ListForSingle => "list_for_single",
            Self::TextForComplex => "text_for_complex",
            Self::ObjectInText => "object_in_text",
            Self::DottedKey => "dotted_key",
            Self::UrnKey => "urn_key",
            Self::PathKey => "path_key",
            Self::BareEnterpriseAttribute => "bare_enterprise_attribute",
            Self::ElementMade => "element_made",
            Self::NothingSelected => "nothing_selected",
            Self::RemoveWithValue => "remove_with_value",
            Self::EmptyValue => "empty_value",
            Self::NotUnassigned => "not_unassigned",
            Self::DeletedUserName => "deleted_user_name",
            Self::UnquotedValue => "unquoted_value",
            Self::LiteralCase => "literal_case",
            Self::OtherSpaces => "other_spaces",
            Self::ComparedValuePath => "compared_value_path",
            Self::ParameterCase => "parameter_case",
            Self::EmptyParameter => "empty_parameter",
            Self::RepeatedParameter => "repeated_parameter",
            Self::StraySeparator => "stray_separator",
            Self::StrayPercent => "stray_percent",
            Self::EmptyPath => "empty_path",
            Self::UnknownPath => "unknown_path",
            Self::MemberCase => "member_case",
            Self::BulkPath => "bulk_path",
            Self::NoBulkId => "no_bulk_id",
            Self::NoErrorLimit => "no_error_limit",
            Self::SeveralPrimary => "several_primary",
            Self::IgnoredParameter => "ignored_parameter",
            Self::ExtraSlash => "extra_slash",
            Self::OtherAddress => "other_address",
            Self::NoMediaType => "no_media_type",
            Self::BareToken => "bare_token",
            Self::BareTag => "bare_tag",
            Self::ByteOrderMark => "byte_order_mark",
            Self::RepeatedMember => "repeated_member",
            Self::NoPath => "no_path",
        }
    }
}

impl Quirk {
    /// The status, and for 400 the keyword, for who may not be forgiven it, as the RFCs have them (RFC 7644 section 3.12, table
    /// 9): 401 for a token that is not sent as RFC 6750 section 2.1 says, 415 for a body without a media type (RFC 9110
    /// section 15.5.16). Attributes and schemas that are not known, and operations without a path, are refused as the
    /// interoperability profile says (draft-zollner-scim-interop-profile-01 sections 5.3 and 6.5.1.1), which narrows what the
    /// RFCs allow.
    ///
    /// None for what both want taken, or leave to the server: attributes that the client cannot write are ignored (RFC 7644
    /// section 3.5.1), letter case in names does not count (RFC 7643 section 2.1), discovery overlooks parameters (RFC 7644
    /// section 4), and extensions bring new ones (RFC 9865 does).
    pub fn refusal(self) -> Option<(u16, Option<ScimType>)> {
        let keyword = match self {
            Self::ReadOnlyAttribute
            | Self::OtherCase
            | Self::DeletedUserName
            | Self::EmptyValue
            | Self::IgnoredParameter => return None,
            Self::BareToken => return Some((401, None)),
            Self::NoMediaType => return Some((415, None)),
            Self::ElementMade | Self::NothingSelected => ScimType::NoTarget,
            Self::UnknownAttribute
            | Self::UnknownSchema
            | Self::UnknownPath
            | Self::NoPath
            | Self::Schemas
            | Self::LegacyUrn
            | Self::OperationCase
            | Self::OtherName
            | Self::RemoveWithValue
            | Self::MemberCase
            | Self::BulkPath
            | Self::NoBulkId
            | Self::ByteOrderMark
            | Self::RepeatedMember => ScimType::InvalidSyntax,
            Self::DottedKey | Self::UrnKey | Self::PathKey | Self::BareEnterpriseAttribute | Self::EmptyPath => {
                ScimType::InvalidPath
            }
            // Of a path too: the table has it for the filter in the path of a PATCH.
            Self::UnquotedValue | Self::LiteralCase | Self::OtherSpaces | Self::ComparedValuePath => {
                ScimType::InvalidFilter
            }
            Self::NotUnassigned => ScimType::Mutability,
            Self::TextForBoolean
            | Self::TextForNumber
            | Self::NumberForText
            | Self::DecimalForInteger
            | Self::Base64Form
            | Self::NoErrorLimit
            | Self::SingleForList
            | Self::ListForSingle
            | Self::TextForComplex
            | Self::ObjectInText
            | Self::ParameterCase
            | Self::EmptyParameter
            | Self::RepeatedParameter
            | Self::StraySeparator
            | Self::StrayPercent
            | Self::SeveralPrimary
            | Self::ExtraSlash
            | Self::OtherAddress
            | Self::BareTag => ScimType::InvalidValue,
        };
        Some((400, Some(keyword)))
    }

    /// Whether the RFCs themselves want it taken, or leave it to the server: all that a strict connection takes, what a POST or
    /// PUT has beside the schemas, which a server may leave out (RFC 7644 section 3.3), and operations without a path
    /// (section 3.5.2.1).
    pub fn is_by_the_rfc(self) -> bool {
        matches!(self, Self::UnknownAttribute | Self::UnknownSchema | Self::NoPath) || self.refusal().is_none()
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
