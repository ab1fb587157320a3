//! Sends the requests of all effects: bounds, token, time limit; then the cache, the
//! request, retries and limits; then the answer.

use exomonad_core::{CallContext, RepoBounds};
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::value::RepoName;
use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use octocrab::{OctoBody, Octocrab};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::GitHub;
use super::api_error::{ApiError, redact};
use super::api_request::{ApiRequest, Endpoint};
use super::cache::{CachedReply, Reply};
use super::client::{self, RawResponse, TransportError};
use super::effect_context::{EffectContext, RequestError};
use exomonad_core::span;

/// Redirects a request follows: a repository may be renamed over and over.
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
        let context = self.authorize(R::KIND, call, repo)?;
        context.in_time(self.send(&context, request)).await
    }

    /// Checks that the role may reach the repository and the host has a token.
    pub(super) fn authorize(
        &self,
        kind: EffectKind,
        call: &CallContext,
        repo: &RepoName,
    ) -> Result<EffectContext, EffectError> {
        let context = EffectContext::new(kind, call, repo, self.config.time_limit.get());
        if call
            .bounds
            .get::<RepoBounds>()
            .decide(Some(repo))
            .is_refusal()
        {
            return Err(context.out_of_bounds());
        }
        if self.config.token.is_none() {
            return Err(context.without_token());
        }
        Ok(context)
    }

    /// Sends one request of an effect and reads its answer.
    pub(super) async fn send<E: Endpoint>(
        &self,
        context: &EffectContext,
        endpoint: &E,
    ) -> Result<E::Answer, EffectError> {
        let invalid = |what| context.error(ErrorCode::InvalidInput, what);
        let api_request = endpoint.request().map_err(invalid)?;
        let url = self.base.url(&api_request.path_and_query).ok_or_else(|| {
            invalid("the request is too long for a URL; name fewer labels".to_owned())
        })?;
        let sent = if api_request.is_read() {
            self.read(context, &url).await
        } else {
            self.write(context, &api_request, url).await
        };
        let reply =
            sent.map_err(|error| context.failed(&api_request, self.logged(context, error)))?;
        let decoded = serde_json::from_slice(&reply.body)
            .map_err(|error| context.unreadable(&api_request, &error))?;
        Ok(endpoint.answer(decoded, reply.has_next))
    }

    /// Reads, with retries.
    async fn read(&self, context: &EffectContext, url: &Uri) -> Result<Reply, RequestError> {
        let mut delay = self.config.retry_delay;
        let mut retries_left = self.config.max_retries;
        loop {
            let error = match self.get(context, url).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            match error.retry_wait(delay) {
                Some(wait) if retries_left > 0 && context.has_time_for(wait) => {
                    tracing::debug!(effect = %context.kind(), ?error, ?wait, "trying again");
                    tokio::time::sleep(wait).await;
                    retries_left -= 1;
                    delay = delay.saturating_mul(2);
                }
                _ => return Err(error),
            }
        }
    }

    /// Reads once: conditionally if the response is cached, and following redirects.
    async fn get(&self, context: &EffectContext, url: &Uri) -> Result<Reply, RequestError> {
        let mut target = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let key = target.to_string();
            let cached = self.cache.get(&key);
            let mut request = Request::new(OctoBody::empty());
            *request.uri_mut() = target;
            if let Some(cached) = &cached {
                request
                    .headers_mut()
                    .insert(header::IF_NONE_MATCH, cached.etag.clone());
            }
            let received = self.exchange(context, request).await?;
            match (received.status, cached) {
                (StatusCode::NOT_MODIFIED, Some(cached)) => return Ok(cached.reply),
                (
                    StatusCode::MOVED_PERMANENTLY
                    | StatusCode::FOUND
                    | StatusCode::TEMPORARY_REDIRECT
                    | StatusCode::PERMANENT_REDIRECT,
                    _,
                ) => {
                    target = self
                        .redirect(&received.headers)
                        .ok_or(RequestError::Moved)?;
                }
                _ => {
                    let etag = received.headers.get(header::ETAG).cloned();
                    let reply = self.accept(received)?;
                    if let Some(etag) = etag {
                        let reply = reply.clone();
                        self.cache.put(key, CachedReply { etag, reply });
                    }
                    return Ok(reply);
                }
            }
        }
        Err(RequestError::Moved)
    }

    /// Writes: sent once, whatever comes of it.
    async fn write(
        &self,
        context: &EffectContext,
        api_request: &ApiRequest,
        url: Uri,
    ) -> Result<Reply, RequestError> {
        let mut request =
            Request::new(OctoBody::from(api_request.body.clone().unwrap_or_default()));
        *request.method_mut() = api_request.method.clone();
        *request.uri_mut() = url;
        request.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let received = self.exchange(context, request).await?;
        if received.status.is_redirection() {
            return Err(RequestError::Moved);
        }
        self.accept(received)
    }

    /// Sends one request to GitHub, after any pause and for a permit.
    async fn exchange(
        &self,
        context: &EffectContext,
        mut request: Request<OctoBody>,
    ) -> Result<RawResponse, RequestError> {
        let octocrab = self.octocrab().map_err(RequestError::Setup)?;
        let _permit = self.permits.acquire().await;
        while let Some(wait) = self.pause.remaining() {
            if !context.has_time_for(wait) {
                return Err(RequestError::RateLimited(super::rate_limit::RateLimit {
                    wait,
                    is_retry_after: false,
                }));
            }
            tokio::time::sleep(wait).await;
        }
        if let Some(traceparent) = &context.traceparent {
            request
                .headers_mut()
                .insert(HeaderName::from_static("traceparent"), traceparent.clone());
        }
        let span = self.span(context, &request);
        span::propagate(&span, |name, value| {
            if let Ok(value) = HeaderValue::try_from(value) {
                request
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        });
        let is_write = request.method() != Method::GET;
        context.set_writing(is_write);
        let received = client::exchange(octocrab, request, self.config.max_response_bytes)
            .instrument(span.clone())
            .await;
        context.set_writing(false);
        match &received {
            Ok(received) => {
                let status = i64::from(received.status.as_u16());
                span.record("http.response.status_code", status);
                if status >= 400 {
                    span::failed(&span, received.status.as_str());
                }
            }
            Err(error) => span::failed(&span, error.name()),
        }
        received.map_err(|error| RequestError::Transport(self.redacted(error)))
    }

    /// The trace span of one request, without its query.
    fn span(&self, context: &EffectContext, request: &Request<OctoBody>) -> Span {
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
            exomonad.effect = context.kind().function(),
            http.response.status_code = Empty,
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    /// The client, made by the first request: octocrab needs a runtime for that.
    fn octocrab(&self) -> std::io::Result<&Octocrab> {
        if let Some(octocrab) = self.octocrab.get() {
            return Ok(octocrab);
        }
        let octocrab = client::prepare(&self.config, &self.base)?;
        Ok(self.octocrab.get_or_init(|| octocrab))
    }

    fn accept(&self, received: RawResponse) -> Result<Reply, RequestError> {
        let RawResponse {
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
        let api_error = ApiError::read(status, &headers, &body, self.config.token.as_ref());
        Err(match api_error.limit {
            Some(limit) => {
                self.pause.begin(limit.wait);
                RequestError::RateLimited(limit)
            }
            None => RequestError::Api(api_error),
        })
    }

    fn redirect(&self, headers: &HeaderMap) -> Option<Uri> {
        self.base
            .redirect(headers.get(header::LOCATION)?.to_str().ok()?)
    }

    /// Removes the token from transport errors, which quote what was received.
    fn redacted(&self, error: TransportError) -> TransportError {
        let redact = |text: String| match &self.config.token {
            Some(token) => redact(token, &text),
            None => text,
        };
        match error {
            TransportError::Unreachable(cause) => TransportError::Unreachable(redact(cause)),
            TransportError::Broken(cause) => TransportError::Broken(redact(cause)),
            TransportError::TooLarge => TransportError::TooLarge,
        }
    }

    /// Logs the errors that are the operator's concern.
    fn logged(&self, context: &EffectContext, error: RequestError) -> RequestError {
        let is_operators = match &error {
            RequestError::Setup(error) => {
                tracing::error!(%error, "there are no certificates to know GitHub by");
                false
            }
            RequestError::Transport(_) | RequestError::RateLimited(_) => true,
            RequestError::Api(api_error) => {
                api_error.status == StatusCode::UNAUTHORIZED || api_error.status.is_server_error()
            }
            RequestError::Moved => false,
        };
        if is_operators {
            tracing::warn!(effect = %context.kind(), github = self.base.origin(), ?error, "GitHub did not answer as wished");
        }
        error
    }
}

/// True if a `Link` header (RFC 8288) names a next page.
fn has_next(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::LINK)
        .iter()
        .filter_map(|link| link.to_str().ok())
        .any(|link| link.contains("rel=\"next\""))
}
