//! Serves a folder.
//!
//! Decides how long files may be kept by caches. Never serves anything outside the folder.

use std::path::Path;

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use tower_http::{compression::CompressionLayer, services::ServeDir};

/// Serves the files of `folder`, compressed where the client takes that.
pub(super) fn router(folder: &Path) -> Router {
    Router::new().fallback_service(ServeDir::new(folder)).layer(CompressionLayer::new()).layer(middleware::from_fn(cache_control))
}

async fn cache_control(request: Request, next: Next) -> Response {
    let immutable = is_hashed(request.uri().path());
    let mut response = next.run(request).await;
    let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let value = if immutable && found { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Returns whether the name holds a hash of the content, as bundlers write it: `assets/name-Bx3_k0Zq.js`.
///
/// In doubt it does not: that costs a question to the server, the other mistake a stale page for a year.
fn is_hashed(path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    if !folder.ends_with("/assets") {
        return false;
    }
    let stem = file.split_once('.').map_or(file, |(stem, _)| stem).as_bytes();
    let Some((name, hash)) = stem.len().checked_sub(9).map(|at| stem.split_at(at)) else { return false };
    let Some((b'-', hash)) = hash.split_first() else { return false };
    !name.is_empty()
        && hash.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && (hash.iter().any(u8::is_ascii_digit)
            || (hash.iter().skip(1).any(u8::is_ascii_uppercase) && hash.iter().any(u8::is_ascii_lowercase)))
}

#[cfg(test)]
mod tests {
    use super::is_hashed;

    #[test]
    fn only_names_with_a_content_hash_are_kept_for_ever() {
        for path in ["/assets/index-Bx3_k0Zq.js", "/app/assets/corella_bg-DzAbXy-Q.wasm", "/assets/style-a1b2c3d4.css"] {
            assert!(is_hashed(path), "{path}");
        }
        for path in
            ["/index.html", "/sw.js", "/assets/my-document.js", "/assets/-Bx3_k0Zq.js", "/assets/index.js", "/pkg/index-Bx3_k0Zq.js"]
        {
            assert!(!is_hashed(path), "{path}");
        }
    }
}
