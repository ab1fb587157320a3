//! The header `WWW-Authenticate` of an answer that a token would change: <https://www.rfc-editor.org/rfc/rfc6750>,
//! section 3.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use exomonad_mcp::NeededScope;

/// Adds it to an answer that has status 401, or 403 because the token lacks a scope.
pub fn add(response: &mut Response) {
    let scope = response.extensions_mut().remove::<NeededScope>();
    let parameters = match (response.status(), scope) {
        (StatusCode::UNAUTHORIZED, _) => Vec::new(),
        (StatusCode::FORBIDDEN, Some(NeededScope(scope))) => {
            vec![("error", "insufficient_scope".to_owned()), ("scope", scope)]
        }
        _ => return,
    };
    let mut value = "Bearer".to_owned();
    for (nth, (name, text)) in parameters.into_iter().enumerate() {
        let comma = if nth == 0 { " " } else { ", " };
        // Of a text that a request brought, no quotation mark ends the parameter.
        let text: String = text
            .chars()
            .filter(|character| character.is_ascii_graphic() && !['"', '\\'].contains(character))
            .collect();
        value.push_str(&format!("{comma}{name}=\"{text}\""));
    }
    if let Ok(value) = HeaderValue::from_str(&value) {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, value);
    }
}
