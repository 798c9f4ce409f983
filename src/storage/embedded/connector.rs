//! Calls the embedded server in process: the SDK's HTTP client without a socket.

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::http::HeaderValue;
use axum::http::header::HOST;

use super::guard::Guarded;

#[derive(Debug, Clone)]
pub(super) struct InProcess {
    service: Guarded,
}

impl InProcess {
    pub fn new(service: Guarded) -> Self {
        Self { service }
    }

    pub fn into_http_client(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }

    async fn answer(service: Guarded, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        // A socket's client would send it, and the signature covers it.
        if let Some(host) =
            request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
        {
            request.headers_mut().entry(HOST).or_insert(host);
        }
        let answer = service.call(request.map(s3s::Body::http_body_unsync)).await;
        let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
        HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
            .map_err(|error| ConnectorError::io(error.into()))
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(Self::answer(self.service.clone(), request))
    }
}
