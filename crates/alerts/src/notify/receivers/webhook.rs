//! Alertmanager's webhook, version 4.

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use secrecy::SecretString;

use super::post::{exposed, post};
use crate::notify::message::Message;

/// `authorization` is the whole header.
pub(super) fn request(
    url: &SecretString,
    authorization: Option<&SecretString>,
    message: &Message,
) -> Result<Request<Bytes>, String> {
    let mut request = post(exposed(url), message, &message.id)?;
    if let Some(authorization) = authorization {
        let mut value =
            HeaderValue::from_str(exposed(authorization)).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}
