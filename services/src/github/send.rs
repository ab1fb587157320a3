//! The one way from an effect to GitHub and back: bounds, token, time limit;
//! then the cache, the request, retries and limits; then the answer.

use exomonad_core::CallContext;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::value::RepoName;
use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use octocrab::{OctoBody, Octocrab};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::GitHub;
use super::ask::{Ask, Endpoint};
use super::bounds;
use super::cache::{Known, Reply};
use super::client::{self, Lost, Received};
use super::errand::{Errand, Failure};
use super::refusal::{Refusal, redact};
use exomonad_core::span;

/// How many redirects a request follows: a repository that was renamed over and over.
const MAX_REDIRECTS: usize = 3;

impl GitHub {
    /// Performs an effect that is one request.
    pub(super) async fn perform<R>(
        &self,
        call: &CallContext,
        repo: &RepoName,
        request: &R,
    ) -> Result<<R as EffectRequest>::Answer, EffectError>
    where
        R: EffectRequest + Endpoint<Answer = <R as EffectRequest>::Answer>,
    {
        let errand = self.admit(R::KIND, call, repo)?;
        errand.in_time(self.ask(&errand, request)).await
    }

    /// Begins an effect, if the role may reach the repository and the host can.
    pub(super) fn admit(
        &self,
        kind: EffectKind,
        call: &CallContext,
        repo: &RepoName,
    ) -> Result<Errand, EffectError> {
        let errand = Errand::new(kind, call, repo, self.config.time_limit);
        if !bounds::allow(&call.bounds, repo) {
            return Err(errand.out_of_bounds());
        }
        if self.config.token.is_none() {
            return Err(errand.without_token());
        }
        Ok(errand)
    }

    /// Sends one request of an effect and reads its answer.
    pub(super) async fn ask<E: Endpoint>(
        &self,
        errand: &Errand,
        endpoint: &E,
    ) -> Result<E::Answer, EffectError> {
        let invalid = |what| errand.error(ErrorCode::InvalidInput, what);
        let ask = endpoint.ask().map_err(invalid)?;
        let url = self.base.url(&ask.path_and_query).ok_or_else(|| {
            invalid("the request is too long for a URL; name fewer labels".to_owned())
        })?;
        let sent = if ask.is_read() {
            self.read(errand, &url).await
        } else {
            self.write(errand, &ask, url).await
        };
        let reply = sent.map_err(|failure| errand.failed(&ask, self.logged(errand, failure)))?;
        let decoded =
            serde_json::from_slice(&reply.body).map_err(|error| errand.unreadable(&ask, &error))?;
        Ok(endpoint.answer(decoded, reply.has_next))
    }

    /// Reads, again and again where that may help.
    async fn read(&self, errand: &Errand, url: &Uri) -> Result<Reply, Failure> {
        let mut delay = self.config.retry_delay;
        let mut retries_left = self.config.max_retries;
        loop {
            let failure = match self.get(errand, url).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            match failure.retry_wait(delay) {
                Some(wait) if retries_left > 0 && errand.has_time_for(wait) => {
                    tracing::debug!(effect = %errand.kind(), ?failure, ?wait, "trying again");
                    tokio::time::sleep(wait).await;
                    retries_left -= 1;
                    delay = delay.saturating_mul(2);
                }
                _ => return Err(failure),
            }
        }
    }

    /// Reads once: conditionally if the answer is known, and where redirects lead.
    async fn get(&self, errand: &Errand, url: &Uri) -> Result<Reply, Failure> {
        let mut target = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let key = target.to_string();
            let known = self.cache.get(&key);
            let mut request = Request::new(OctoBody::empty());
            *request.uri_mut() = target;
            if let Some(known) = &known {
                request
                    .headers_mut()
                    .insert(header::IF_NONE_MATCH, known.etag.clone());
            }
            let received = self.exchange(errand, request).await?;
            match (received.status, known) {
                (StatusCode::NOT_MODIFIED, Some(known)) => return Ok(known.reply),
                (
                    StatusCode::MOVED_PERMANENTLY
                    | StatusCode::FOUND
                    | StatusCode::TEMPORARY_REDIRECT
                    | StatusCode::PERMANENT_REDIRECT,
                    _,
                ) => {
                    target = self.redirect(&received.headers).ok_or(Failure::Moved)?;
                }
                _ => {
                    let etag = received.headers.get(header::ETAG).cloned();
                    let reply = self.accept(received)?;
                    if let Some(etag) = etag {
                        let reply = reply.clone();
                        self.cache.put(key, Known { etag, reply });
                    }
                    return Ok(reply);
                }
            }
        }
        Err(Failure::Moved)
    }

    /// Changes something: sent once, whatever comes of it.
    async fn write(&self, errand: &Errand, ask: &Ask, url: Uri) -> Result<Reply, Failure> {
        let mut request = Request::new(OctoBody::from(ask.body.clone().unwrap_or_default()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = url;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let received = self.exchange(errand, request).await?;
        if received.status.is_redirection() {
            return Err(Failure::Moved);
        }
        self.accept(received)
    }

    /// One request to GitHub, once no limit forbids it and its turn has come.
    async fn exchange(
        &self,
        errand: &Errand,
        mut request: Request<OctoBody>,
    ) -> Result<Received, Failure> {
        let octocrab = self.octocrab().map_err(Failure::Setup)?;
        let _turn = self.turns.acquire().await;
        while let Some(wait) = self.pause.remaining() {
            if !errand.has_time_for(wait) {
                return Err(Failure::Limited(super::limits::Limit {
                    wait,
                    is_retry_after: false,
                }));
            }
            tokio::time::sleep(wait).await;
        }
        if let Some(traceparent) = &errand.traceparent {
            request
                .headers_mut()
                .insert(HeaderName::from_static("traceparent"), traceparent.clone());
        }
        let span = self.span(errand, &request);
        span::propagate(&span, |name, value| {
            if let Ok(value) = HeaderValue::try_from(value) {
                request
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        });
        let is_write = request.method() != Method::GET;
        errand.set_writing(is_write);
        let received = client::exchange(octocrab, request, self.config.max_response_bytes)
            .instrument(span.clone())
            .await;
        errand.set_writing(false);
        match &received {
            Ok(received) => {
                let status = i64::from(received.status.as_u16());
                span.record("http.response.status_code", status);
                if status >= 400 {
                    span::failed(&span, received.status.as_str());
                }
            }
            Err(lost) => span::failed(&span, lost.name()),
        }
        received.map_err(|lost| Failure::Lost(self.redacted(lost)))
    }

    /// What a trace shows of one request: where it goes, without its query.
    fn span(&self, errand: &Errand, request: &Request<OctoBody>) -> Span {
        let (method, uri) = (request.method().as_str(), request.uri());
        tracing::info_span!(
            target: span::TARGET,
            "github",
            otel.name = format_args!("{method} GitHub"),
            otel.kind = "client",
            http.request.method = method,
            server.address = uri.host(),
            server.port = uri.port_u16().map(i64::from),
            url.path = uri.path(),
            exomonad.effect = errand.kind().function(),
            http.response.status_code = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    /// The client, prepared by the first request: octocrab needs a runtime for that.
    fn octocrab(&self) -> std::io::Result<&Octocrab> {
        if let Some(octocrab) = self.octocrab.get() {
            return Ok(octocrab);
        }
        let octocrab = client::prepare(&self.config, &self.base)?;
        Ok(self.octocrab.get_or_init(|| octocrab))
    }

    fn accept(&self, received: Received) -> Result<Reply, Failure> {
        let Received {
            status,
            headers,
            body,
        } = received;
        if status.is_success() {
            return Ok(Reply {
                has_next: has_next(&headers),
                body,
            });
        }
        let refusal = Refusal::read(status, &headers, &body, self.config.token.as_ref());
        Err(match refusal.limit {
            Some(limit) => {
                self.pause.begin(limit.wait);
                Failure::Limited(limit)
            }
            None => Failure::Refused(refusal),
        })
    }

    fn redirect(&self, headers: &HeaderMap) -> Option<Uri> {
        self.base
            .redirect(headers.get(header::LOCATION)?.to_str().ok()?)
    }

    /// Transport errors quote what was received, which may be anything.
    fn redacted(&self, lost: Lost) -> Lost {
        let redact = |text: String| match &self.config.token {
            Some(token) => redact(token, &text),
            None => text,
        };
        match lost {
            Lost::Unreachable(cause) => Lost::Unreachable(redact(cause)),
            Lost::Broken(cause) => Lost::Broken(redact(cause)),
            Lost::TooLarge => Lost::TooLarge,
        }
    }

    /// What an operator wants to see goes to the log.
    fn logged(&self, errand: &Errand, failure: Failure) -> Failure {
        let is_operators = match &failure {
            Failure::Setup(error) => {
                tracing::error!(%error, "there are no certificates to know GitHub by");
                false
            }
            Failure::Lost(_) | Failure::Limited(_) => true,
            Failure::Refused(refusal) => {
                refusal.status == StatusCode::UNAUTHORIZED || refusal.status.is_server_error()
            }
            Failure::Moved => false,
        };
        if is_operators {
            tracing::warn!(effect = %errand.kind(), github = self.base.origin(), ?failure, "GitHub did not answer as wished");
        }
        failure
    }
}

/// Whether a `Link` header (RFC 8288) names a next page.
fn has_next(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|link| link.to_str().ok())
        .any(|link| link.contains("rel=\"next\""))
}
