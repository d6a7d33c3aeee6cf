//! The paths of the PBX API (NetSapiens dossier section 3).

use crate::options::PbxVersion;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Version,
    Token,
    LegacyToken,
    ReadKey,
    ReadDomain,
    CountDomain,
    ListUsers,
    LightListUsers,
    CountUsers,
    ReadUser,
    CreateUser,
    UpdateUser,
    DeleteUser,
    WelcomeMail,
    ListDevices,
    CountDevices,
    ReadDevice,
    CreateDevice,
    UpdateDevice,
    DeleteDevice,
    ListSites,
    LightListSites,
    CountSites,
    ReadSite,
    CreateSite,
    UpdateSite,
    ListNumbers,
    CreateNumber,
    UpdateNumber,
    DeleteNumber,
}

impl Operation {
    /// The model that an API key must be allowed to touch, if the operation concerns one.
    pub(crate) fn model(self) -> Option<&'static str> {
        use Operation as O;
        match self {
            O::Version | O::Token | O::LegacyToken | O::ReadKey => None,
            O::ReadDomain | O::CountDomain => Some("domain"),
            O::ListUsers | O::LightListUsers | O::CountUsers | O::ReadUser | O::CreateUser | O::UpdateUser => {
                Some("subscriber")
            }
            O::DeleteUser | O::WelcomeMail => Some("subscriber"),
            O::ListDevices | O::CountDevices | O::ReadDevice | O::CreateDevice | O::UpdateDevice | O::DeleteDevice => {
                Some("device")
            }
            O::ListSites | O::LightListSites | O::CountSites | O::ReadSite | O::CreateSite | O::UpdateSite => {
                Some("site")
            }
            O::ListNumbers | O::CreateNumber | O::UpdateNumber | O::DeleteNumber => Some("phonenumber"),
        }
    }
}

/// A path of the API, below its base.
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// Name in logs and fault orders.
    pub(crate) name: &'static str,
    method: &'static str,
    template: &'static str,
    since: PbxVersion,
}

const fn route(
    operation: Operation,
    name: &'static str,
    method: &'static str,
    template: &'static str,
    since: PbxVersion,
) -> Route {
    Route { operation, name, method, template, since }
}

use Operation as O;
use PbxVersion::{V44, V45};

/// All paths; fixed words come before placeholders at the same place.
#[rustfmt::skip]
pub(crate) static ROUTES: [Route; 29] = [
    route(O::Version, "GET version", "GET", "version", V44),
    route(O::Token, "POST tokens", "POST", "tokens", V44),
    route(O::ReadKey, "GET apikeys/~", "GET", "apikeys/~", V44),
    route(O::ReadDomain, "GET domains/{domain}", "GET", "domains/{domain}", V44),
    route(O::CountDomain, "GET domains/{domain}/count", "GET", "domains/{domain}/count", V44),
    route(O::ListUsers, "GET users", "GET", "domains/{domain}/users", V44),
    route(O::CreateUser, "POST users", "POST", "domains/{domain}/users", V44),
    route(O::LightListUsers, "GET users/list", "GET", "domains/{domain}/users/list", V45),
    route(O::CountUsers, "GET users/count", "GET", "domains/{domain}/users/count", V44),
    route(O::ReadUser, "GET users/{user}", "GET", "domains/{domain}/users/{user}", V44),
    route(O::UpdateUser, "PUT users/{user}", "PUT", "domains/{domain}/users/{user}", V44),
    route(O::DeleteUser, "DELETE users/{user}", "DELETE", "domains/{domain}/users/{user}", V44),
    route(O::WelcomeMail, "POST users/{user}/email", "POST", "domains/{domain}/users/{user}/email", V44),
    route(O::ListDevices, "GET users/{user}/devices", "GET", "domains/{domain}/users/{user}/devices", V44),
    route(O::CreateDevice, "POST users/{user}/devices", "POST", "domains/{domain}/users/{user}/devices", V44),
    route(O::CountDevices, "GET users/{user}/devices/count", "GET", "domains/{domain}/users/{user}/devices/count", V44),
    route(O::ReadDevice, "GET users/{user}/devices/{device}", "GET", "domains/{domain}/users/{user}/devices/{device}", V44),
    route(O::UpdateDevice, "PUT users/{user}/devices/{device}", "PUT", "domains/{domain}/users/{user}/devices/{device}", V44),
    route(O::DeleteDevice, "DELETE users/{user}/devices/{device}", "DELETE", "domains/{domain}/users/{user}/devices/{device}", V44),
    route(O::ListSites, "GET sites", "GET", "domains/{domain}/sites", V44),
    route(O::CreateSite, "POST sites", "POST", "domains/{domain}/sites", V44),
    route(O::LightListSites, "GET sites/list", "GET", "domains/{domain}/sites/list", V45),
    route(O::CountSites, "GET sites/count", "GET", "domains/{domain}/sites/count", V45),
    route(O::ReadSite, "GET sites/{site}", "GET", "domains/{domain}/sites/{site}", V44),
    route(O::UpdateSite, "PUT sites/{site}", "PUT", "domains/{domain}/sites/{site}", V44),
    route(O::ListNumbers, "GET phonenumbers", "GET", "domains/{domain}/phonenumbers", V44),
    route(O::CreateNumber, "POST phonenumbers", "POST", "domains/{domain}/phonenumbers", V44),
    route(O::UpdateNumber, "PUT phonenumbers", "PUT", "domains/{domain}/phonenumbers", V44),
    route(O::DeleteNumber, "DELETE phonenumbers/{phonenumber}", "DELETE", "domains/{domain}/phonenumbers/{phonenumber}", V44),
];

/// The form-encoded twin of `POST tokens`, outside the base path.
pub(crate) static LEGACY_TOKEN: Route = route(O::LegacyToken, "POST oauth2/token", "POST", "", V44);

/// Finds the route of a call and the values of its placeholders, in the order of the path.
pub(crate) fn find(method: &str, segments: &[String], version: PbxVersion) -> Option<(&'static Route, Vec<String>)> {
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        if parts.len() != segments.len() {
            return None;
        }
        let mut arguments = Vec::new();
        for (part, segment) in parts.iter().zip(segments) {
            if part.starts_with('{') {
                arguments.push(segment.clone());
            } else if part != segment {
                return None;
            }
        }
        Some(arguments)
    };
    let candidates = ROUTES.iter().filter(|route| route.method == method);
    let (route, arguments) = candidates.filter_map(|route| fits(route.template).map(|found| (route, found))).next()?;
    (version == V45 || route.since == V44).then_some((route, arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_operation() {
        let check = |version, call: &str, expected: Option<(&str, &[&str])>| {
            let (method, path) = call.split_once(' ').unwrap();
            let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
            let found = find(method, &segments, version).map(|(route, arguments)| (route.name, arguments));
            let expected =
                expected.map(|(name, arguments)| (name, arguments.iter().map(|a| (*a).to_owned()).collect()));
            assert_eq!(found, expected, "{call}");
        };
        check(V45, "GET domains/d/users/count", Some(("GET users/count", &["d"])));
        check(V45, "GET domains/d/users/1042", Some(("GET users/{user}", &["d", "1042"])));
        check(V45, "GET domains/d/users/list", Some(("GET users/list", &["d"])));
        check(V44, "GET domains/d/users/list", None);
        check(V45, "PUT domains/d/users/1/devices/1a", Some(("PUT users/{user}/devices/{device}", &["d", "1", "1a"])));
        check(V45, "PATCH domains/d/users/1", None);
        check(V45, "GET users", None);
    }
}
