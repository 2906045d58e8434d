//! Values of settings that are free otherwise, and that would undo the hardening of the API server or of kubelets.
//! Each is judged as the program reads it; whether it takes the value at all, it says itself.

/// What is wrong, and what to do.
pub(super) type Complaint = (String, String);

/// Plugins that Kubernetes leaves off by itself (`DefaultOffAdmissionPlugins`), but for NodeRestriction, which Ingot
/// turns on. All others are on, also those of later versions, and the cluster relies on them.
const OFF: [&str; 13] = [
    "AlwaysAdmit",
    "AlwaysDeny",
    "AlwaysPullImages",
    "DenyServiceExternalIPs",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "ImagePolicyWebhook",
    "LimitPodHardAntiAffinityTopology",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "OwnerReferencesPermissionEnforcement",
    "PodNodeSelector",
    "PodTolerationRestriction",
];

/// Plugins that only fill in what an object leaves open: without them an object says it itself.
const DEFAULTS: [&str; 3] = [
    "DefaultIngressClass",
    "DefaultStorageClass",
    "DefaultTolerationSeconds",
];

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|one| !one.is_empty())
}

/// `disable-admission-plugins`: plugins that must stay on.
pub(super) fn plugins_turned_off(value: &str) -> Option<Complaint> {
    let needed: Vec<&str> = items(value)
        .filter(|plugin| !OFF.contains(plugin) && !DEFAULTS.contains(plugin))
        .collect();
    (!needed.is_empty()).then(|| {
        let them = if needed.len() == 1 { "it" } else { "them" };
        (
            format!("the platform relies on {}", needed.join(", ")),
            format!("take {them} out of the list"),
        )
    })
}

/// The same: plugins whose absence is told. The value is what people will miss.
pub(super) fn defaults_turned_off(value: &str) -> Option<Complaint> {
    let named: Vec<&str> = items(value)
        .filter(|plugin| DEFAULTS.contains(plugin))
        .collect();
    (!named.is_empty()).then(|| {
        (
            format!(
                "without {}, objects are not given defaults",
                named.join(", ")
            ),
            "say in each object what they would fill in, or take it out of the list".into(),
        )
    })
}

/// `runtime-config`: stable versions of the API that are turned off, `group/version=false`.
pub(super) fn stable_apis_turned_off(value: &str) -> Option<Complaint> {
    // As Go's strconv.ParseBool reads it; no value is true.
    let off = ["0", "f", "F", "false", "False", "FALSE"];
    let stable = |name: &str| {
        let number = |part: &str| {
            let digits = part.strip_prefix('v').unwrap_or_default();
            !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
        };
        ["api/all", "api/ga"].contains(&name) || name.split('/').any(number)
    };
    let named: Vec<&str> = items(value)
        .filter_map(|item| item.split_once('='))
        .filter(|(name, value)| off.contains(&value.trim()) && stable(name.trim()))
        .map(|(name, _)| name.trim())
        .collect();
    (!named.is_empty()).then(|| {
        (
            format!(
                "the platform relies on the stable API {}, policies and webhooks of admission among them",
                named.join(", ")
            ),
            "turn off versions with alpha or beta in their name only".into(),
        )
    })
}

/// Versions of TLS that the field has given up.
pub(super) fn tls_version(value: &str) -> Option<Complaint> {
    ["VersionTLS10", "VersionTLS11"].contains(&value).then(|| {
        (
            format!("{value} can be broken (RFC 8996)"),
            "use VersionTLS12 or VersionTLS13".into(),
        )
    })
}

/// What Go's crypto/tls calls insecure (`InsecureCipherSuites`).
const INSECURE: [&str; 12] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// Cipher suites that can be broken, in a list with commas.
pub(super) fn cipher_suites(value: &str) -> Option<Complaint> {
    let weak: Vec<&str> = items(value).filter(|one| INSECURE.contains(one)).collect();
    (!weak.is_empty()).then(|| {
        (
            format!("{} can be broken", weak.join(", ")),
            "name suites with ECDHE and GCM or CHACHA20 only, or remove the list".into(),
        )
    })
}

/// `cors-allowed-origins`: an expression that any site in a browser fits.
pub(super) fn any_origin(value: &str) -> Option<Complaint> {
    let any = |expression: &str| {
        let bare = expression.trim_start_matches('^').trim_end_matches('$');
        let bare = bare.trim_matches(['(', ')']);
        let site = bare.rsplit_once("//").map_or(bare, |(_, site)| site);
        ["", ".*", ".+", ".", ".*?"].contains(&site)
    };
    let open = items(value).find(|expression| any(expression))?;
    Some((
        format!("`{open}` lets every web site use the access of whoever visits it"),
        "name the sites: ^https://console\\.example\\.org$".into(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plugin_that_is_on_by_itself_is_turned_off_without_a_word() {
        for plugin in [
            "ClusterTrustBundleAttest",
            "NodeRestriction",
            "PodResizeValidator",
            "StorageObjectInUseProtection",
            "OneOfALaterVersion",
        ] {
            assert!(plugins_turned_off(plugin).is_some(), "{plugin}");
        }
        assert_eq!(
            plugins_turned_off("EventRateLimit, DefaultStorageClass,"),
            None
        );
        assert!(defaults_turned_off("EventRateLimit,DefaultStorageClass").is_some());
        assert_eq!(defaults_turned_off("EventRateLimit"), None);
    }

    #[test]
    fn stable_apis_stay_and_others_may_go() {
        for value in [
            "admissionregistration.k8s.io/v1=false",
            "api/beta=true, v1=0",
            "api/all=false,api/beta=false",
            "apps/v1/deployments=False",
        ] {
            assert!(stable_apis_turned_off(value).is_some(), "{value}");
        }
        for value in [
            "api/beta=false",
            "batch/v1",
            "batch/v1=true",
            "x.io/v1alpha1=false",
        ] {
            assert_eq!(stable_apis_turned_off(value), None, "{value}");
        }
    }

    #[test]
    fn every_origin_is_not_a_site() {
        for value in [
            ".*",
            "^.*$",
            "^https?://.*$",
            "//.+",
            "https://a\\.org,(.*)",
        ] {
            assert!(any_origin(value).is_some(), "{value}");
        }
        for value in ["^https://console\\.example\\.org$", "//.*\\.example\\.org$"] {
            assert_eq!(any_origin(value), None, "{value}");
        }
    }
}
