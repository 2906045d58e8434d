//! Who asks, and whether they may: the API server says both.

use super::named::SNAPSHOTS;
use crate::config::DRIVER_NAME;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use tonic::Status;

/// What the API server could not say.
fn unavailable(error: &Error) -> Status {
    Status::unavailable(format!(
        "whether you may read the snapshot cannot be asked: {error}; ask again"
    ))
}

/// Lets through whoever may read those VolumeSnapshots.
///
/// # Errors
/// Unauthenticated, PermissionDenied, or Unavailable.
pub(super) async fn may_read(
    client: &Client,
    token: &str,
    namespace: &str,
    names: &[&str],
) -> Result<(), Status> {
    let user = who(client, token).await?;
    for name in names {
        may(client, &user, namespace, name).await?;
    }
    Ok(())
}

async fn who(client: &Client, token: &str) -> Result<UserInfo, Status> {
    let refused = || {
        Status::unauthenticated(format!(
            "security_token is not valid for the audience {DRIVER_NAME}, or has expired; ask the API server for one \
             of your service account with that audience (TokenRequest)"
        ))
    };
    if token.is_empty() {
        return Err(refused());
    }
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: token.into(),
            audiences: Some(vec![DRIVER_NAME.into()]),
        },
        ..TokenReview::default()
    };
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let status = answer.map_err(|error| unavailable(&error))?.status;
    let status = status.unwrap_or_default();
    // An API server that knows no audiences names none: then the token was made for the server itself.
    let ours = |audience: &String| audience == DRIVER_NAME;
    let meant = status.audiences.unwrap_or_default().iter().any(ours);
    match (status.authenticated, meant, status.user) {
        (Some(true), true, Some(user)) => Ok(user),
        _ => Err(refused()),
    }
}

async fn may(client: &Client, user: &UserInfo, namespace: &str, name: &str) -> Result<(), Status> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username.clone(),
            uid: user.uid.clone(),
            groups: user.groups.clone(),
            extra: user.extra.clone(),
            resource_attributes: Some(ResourceAttributes {
                verb: Some("get".into()),
                group: Some(SNAPSHOTS.into()),
                resource: Some("volumesnapshots".into()),
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await;
    let status = answer.map_err(|error| unavailable(&error))?.status;
    match status.is_some_and(|status| status.allowed && status.denied != Some(true)) {
        true => Ok(()),
        false => Err(Status::permission_denied(format!(
            "{} may not get the VolumeSnapshot {namespace}/{name}; give it a Role there with the verb get on \
             volumesnapshots of {SNAPSHOTS}",
            user.username.as_deref().unwrap_or("who asks")
        ))),
    }
}
