//! The 221 time zones that the PBX knows (NetSapiens dossier section 12): prefix, then names.

const ZONES: &[(&str, &str)] = &[
    ("US/", "Alaska Central Eastern Hawaii Mountain Pacific"),
    (
        "Africa/",
        "Addis_Ababa Algiers Brazzaville Cairo Casablanca Dakar Dar_es_Salaam Djibouti Johannesburg Khartoum Kigali \
         Kinshasa Lagos Nairobi Timbuktu Tripoli Tunis",
    ),
    (
        "America/",
        "Antigua Aruba Belize Bogota Buenos_Aires Cancun Caracas Cayman Chihuahua Costa_Rica Denver Detroit Edmonton \
         El_Salvador Ensenada Grenada Guadeloupe Guatemala Havana Indianapolis Jamaica Juneau La_Paz Lima Los_Angeles \
         Louisville Martinique Mazatlan Mendoza Menominee Merida Mexico_City Miquelon Moncton Monterrey Montevideo \
         Montreal Montserrat Nassau New_York Panama Phoenix Port-au-Prince Port_of_Spain Regina Santiago \
         Santo_Domingo Sao_Paulo Thule Thunder_Bay Tijuana Toronto Vancouver Winnipeg Yellowknife",
    ),
    ("Antarctica/", "South_Pole"),
    ("Arctic/", "Longyearbyen"),
    (
        "Asia/",
        "Amman Baghdad Bahrain Bangkok Beirut Brunei Calcutta Colombo Dacca Damascus Dhaka Dubai Gaza Hong_Kong \
         Istanbul Jakarta Jerusalem Kabul Katmandu Kuala_Lumpur Kuching Kuwait Macau Manila Muscat Phnom_Penh Rangoon \
         Riyadh Saigon Seoul Shanghai Singapore Taipei Tehran Tel_Aviv Thimphu Tokyo Ulan_Bator Vientiane Vladivostok",
    ),
    ("Atlantic/", "Azores Bermuda Canary Cape_Verde Faeroe Reykjavik"),
    (
        "Australia/",
        "ACT Adelaide Brisbane Canberra Darwin LHI Melbourne North NSW Perth Queensland South Sydney Tasmania \
         Victoria West",
    ),
    ("Canada/", "Atlantic Central Eastern Mountain Newfoundland Pacific Saskatchewan Yukon"),
    ("", "Cuba Greenwich"),
    (
        "Etc/",
        "GMT GMT+1 GMT+10 GMT+11 GMT+12 GMT+2 GMT+3 GMT+4 GMT+5 GMT+6 GMT+7 GMT+8 GMT+9 GMT-1 GMT-10 GMT-11 GMT-12 \
         GMT-13 GMT-14 GMT-2 GMT-3 GMT-4 GMT-5 GMT-6 GMT-7 GMT-8 GMT-9 Greenwich",
    ),
    (
        "Europe/",
        "Amsterdam Athens Belfast Belgrade Berlin Brussels Bucharest Budapest Copenhagen Dublin Helsinki Istanbul Kiev \
         Lisbon Ljubljana London Madrid Malta Monaco Moscow Oslo Paris Prague Rome Sofia Stockholm Vienna Warsaw Zurich",
    ),
    ("Pacific/", "Auckland Easter Fiji Galapagos Gambier Guam Honolulu Marquesas Midway Palau Rarotonga Tahiti"),
];

/// Whether the PBX knows a time zone by this name.
pub(crate) fn is_known(name: &str) -> bool {
    ZONES.iter().any(|(prefix, names)| {
        name.strip_prefix(prefix).is_some_and(|rest| names.split_whitespace().any(|known| known == rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_221_time_zones_and_some_well_known_names_are_not_among_them() {
        let count: usize = ZONES.iter().map(|(_, names)| names.split_whitespace().count()).sum();
        assert_eq!(count, 221);
        for known in ["US/Central", "Etc/GMT", "Etc/GMT+12", "Europe/London", "Cuba", "America/Port-au-Prince"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in ["America/Chicago", "UTC", "Asia/Kolkata", "Europe/Kyiv", "europe/london", "Etc/", "", "GMT"] {
            assert!(!is_known(unknown), "{unknown}");
        }
    }
}
