//! The kinds of target this bridge can speak to (DESIGN section 3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kind of downstream system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// Glance partner API: form in, XML out.
    Glance,
    /// A domain PBX: NetSapiens API v2, JSON.
    Netsapiens,
    /// A template-user system: CRM.COM Web API V4, JSON.
    CrmCom,
}

impl TargetKind {
    /// All kinds, in the order in which documents name them.
    pub const ALL: [TargetKind; 3] = [TargetKind::Glance, TargetKind::Netsapiens, TargetKind::CrmCom];

    /// The name in configuration and messages: `glance`, `netsapiens`, `crm_com`.
    pub fn name(self) -> &'static str {
        match self {
            TargetKind::Glance => "glance",
            TargetKind::Netsapiens => "netsapiens",
            TargetKind::CrmCom => "crm_com",
        }
    }

    /// The URN of the extension schema by which an identity provider sets this kind's fields.
    ///
    /// Entra ID insists on the form `urn:ietf:params:scim:schemas:extension:NAME:2.0:User`.
    pub fn extension_urn(self) -> &'static str {
        match self {
            TargetKind::Glance => "urn:ietf:params:scim:schemas:extension:bridgeGlance:2.0:User",
            TargetKind::Netsapiens => "urn:ietf:params:scim:schemas:extension:bridgeNetsapiens:2.0:User",
            TargetKind::CrmCom => "urn:ietf:params:scim:schemas:extension:bridgeCrmcom:2.0:User",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for TargetKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        TargetKind::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("no such kind of target: {text:?} (known: glance, netsapiens, crm_com)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_its_own_name() {
        for kind in TargetKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert!("skype".parse::<TargetKind>().unwrap_err().contains("skype"));
    }
}
