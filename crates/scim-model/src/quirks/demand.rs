//! What a client should send instead of what it is not forgiven: words for the administrator who reads them in its log.

use super::Quirk;

impl Quirk {
    /// What to send instead.
    pub fn demand(self) -> &'static str {
        match self {
            Self::UnknownAttribute => "leave out what no schema knows",
            Self::UnknownSchema => "leave out what belongs to a schema that is not offered here",
            Self::ReadOnlyAttribute => "leave out what only the bridge sets",
            Self::Schemas => "name the schema of the message in schemas, and every extension that the body uses",
            Self::LegacyUrn => "use the URN of SCIM 2.0, not that of a draft",
            Self::OtherCase => "write the name as its schema does",
            Self::OperationCase => {
                "write add, replace or remove in small letters, and the method of a bulk operation in capitals"
            }
            Self::OtherName => "use the name of the schema",
            Self::TextForBoolean => "send true or false, without quotes",
            Self::TextForNumber => "send a number, without quotes",
            Self::NumberForText => "send a text, in quotes",
            Self::DecimalForInteger => "send a whole number, without a decimal point or an exponent",
            Self::Base64Form => "send nothing but base64, in one line, with + and /",
            Self::SingleForList => "send an array",
            Self::ListForSingle => "send one value instead of an array",
            Self::TextForComplex => "send an object",
            Self::ObjectInText => "send an object instead of a text that contains one",
            Self::DottedKey => "send the part inside an object, or as the path of an operation of its own",
            Self::UrnKey => "send the attribute inside an object under the URN of its schema, or as a path",
            Self::PathKey => "send the value path as the path of an operation of its own",
            Self::BareEnterpriseAttribute => "put the URN of the enterprise extension in front of the name",
            Self::ElementMade => "no element matches the filter of the path: add one with the operation add",
            Self::NothingSelected => "no element matches the filter of the path",
            Self::RemoveWithValue => "say in the path what is to be removed, not in a value",
            Self::EmptyValue => "send null, or remove the attribute",
            Self::NotUnassigned => "it cannot be unassigned: send a value",
            Self::DeletedUserName => "send the name without the digits in front",
            Self::UnquotedValue => "put the text in quotes",
            Self::LiteralCase => "write true, false and null in small letters",
            Self::OtherSpaces => "put one blank between two words, and none elsewhere",
            Self::ComparedValuePath => "put the comparison inside the brackets",
            Self::ParameterCase => "write the parameter, and its word, as RFC 7644 does",
            Self::EmptyParameter => "leave the parameter out, or give it a value",
            Self::RepeatedParameter => "send the parameter once",
            Self::StraySeparator => "leave out the & or ? that separates nothing",
            Self::StrayPercent => "write a percent sign as %25",
            Self::EmptyPath => "send the path of what is to change",
            Self::UnknownPath => "no schema knows the path: leave the operation out",
            Self::MemberCase => "write the member of the message as RFC 7644 does",
            Self::BulkPath => "write the path as /Users or /Users/{id}",
            Self::NoBulkId => "give the operation that creates a resource a bulkId",
            Self::NoErrorLimit => "leave failOnErrors out, or send a number from 1",
            Self::SeveralPrimary => "mark one value as primary, not more",
            Self::IgnoredParameter => "leave out the parameter, it says nothing here",
            Self::ExtraSlash => "leave out the slash at the end, or the second one",
            Self::OtherAddress => "write the address as RFC 7644 section 3.2 does",
            Self::NoMediaType => "send the body with Content-Type: application/scim+json",
            Self::BareToken => "put the word Bearer before the token",
            Self::BareTag => "put the version in quotes, as the header ETag has it",
            Self::ByteOrderMark => "leave out the byte order mark",
            Self::RepeatedMember => "send each name of an object once",
            Self::NoPath => "send a path, and an operation of its own for each attribute",
        }
    }
}
