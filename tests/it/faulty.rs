//! A door before an S3 server that does as a test says: lets a request through, refuses it, lets it hang, or does it
//! and says that it failed.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::net::TcpListener;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Not done, and answered so.
    Refuse(StatusCode),
    /// Done, and answered as if it were not.
    DoAndRefuse(StatusCode),
    /// Never answered.
    Hang,
    /// Done, and answered to the half of its body; then nothing comes any more.
    Stall,
    /// Not done, and answered with 200 and this body.
    Say(&'static str),
}

type Rule = Box<dyn Fn(&Method, &str) -> Fault + Send>;

/// The door; cheap to clone.
#[derive(Clone)]
pub struct Faults {
    pub endpoint: String,
    rule: Arc<Mutex<Rule>>,
}

#[derive(Clone)]
struct Way {
    faults: Faults,
    to: String,
    client: reqwest::Client,
}

impl Faults {
    /// Before the server at this address; everything passes at first.
    pub async fn before(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let rule: Rule = Box::new(|_, _| Fault::None);
        let faults = Self { endpoint, rule: Arc::new(Mutex::new(rule)) };
        let way = Way { faults: faults.clone(), to: to.to_owned(), client: reqwest::Client::new() };
        let router = Router::new().fallback(pass).with_state(way);
        tokio::spawn(async move { axum::serve(listener, router).await });
        faults
    }

    /// From now on this decides, by method and by path with query.
    pub fn decide(&self, rule: impl Fn(&Method, &str) -> Fault + Send + 'static) {
        *self.rule.lock().expect("no panic before") = Box::new(rule);
    }

    /// Everything passes.
    pub fn mend(&self) {
        self.decide(|_, _| Fault::None);
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let fault = (way.faults.rule.lock().expect("no panic before"))(&parts.method, path);
    match fault {
        Fault::Refuse(status) => return status.into_response(),
        Fault::Hang => std::future::pending().await,
        Fault::Say(body) => return body.into_response(),
        Fault::None | Fault::DoAndRefuse(_) | Fault::Stall => {}
    }
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let mut headers = parts.headers;
    headers.remove("transfer-encoding");
    headers.remove("expect");
    let sent = way.client.request(parts.method, format!("{}{path}", way.to)).headers(headers).body(body);
    let Ok(answer) = sent.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    let bytes = answer.bytes().await.unwrap_or_default();
    match fault {
        Fault::DoAndRefuse(status) => status.into_response(),
        Fault::Stall => {
            let half = bytes.slice(..bytes.len() / 2);
            let begun = futures::stream::once(async { Ok::<_, std::io::Error>(half) });
            let body = Body::from_stream(begun.chain(futures::stream::pending()));
            response.body(body).expect("an answer")
        }
        _ => response.body(Body::from(bytes)).expect("an answer"),
    }
}
