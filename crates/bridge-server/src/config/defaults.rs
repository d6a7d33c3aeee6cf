//! Defaults that differ by kind of target, from the dossiers.

use std::time::Duration;

use bridge_mapping::TargetKind;

use super::Deprovision;

/// The API's root where the vendor has one address for everybody (glance.md section 1).
pub(super) fn base_url(kind: TargetKind) -> Option<&'static str> {
    match kind {
        TargetKind::Glance => Some("https://www.glance.net/PAPI/"),
        TargetKind::Netsapiens | TargetKind::CrmCom => None,
    }
}

/// What a deleted user means: a suspended extension would block its number for ever; CRM.COM cannot delete (crmcom.md section 7).
pub(super) fn on_delete(kind: TargetKind) -> Deprovision {
    match kind {
        TargetKind::Netsapiens => Deprovision::Delete,
        TargetKind::Glance | TargetKind::CrmCom => Deprovision::Suspend,
    }
}

/// How long a write may take to show in a read (netsapiens.md section 7).
pub(super) fn settle_lag(kind: TargetKind) -> Duration {
    match kind {
        TargetKind::Netsapiens => Duration::from_secs(10),
        TargetKind::Glance | TargetKind::CrmCom => Duration::ZERO,
    }
}
