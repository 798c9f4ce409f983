//! Successful answers that are more than JSON with 200.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::extract::Json;

/// Something new, with its address.
pub struct Created<T>(pub String, pub T);

/// Something that is still to be done.
pub struct Accepted<T>(pub T);

/// Nothing to say.
pub struct Gone;

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.1).into_response();
        *response.status_mut() = super::error::CREATED;
        if let Ok(location) = HeaderValue::from_str(&self.0) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        *response.status_mut() = super::error::ACCEPTED;
        response
    }
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        super::error::NO_CONTENT.into_response()
    }
}
