//! What is served beside the protocol, and who may open a socket.

use corella::hub::{Hub, HubConfig};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, client::IntoClientRequest},
};

use crate::memory;

#[tokio::test]
async fn serves_health_and_files_with_types_and_cache_rules() {
    let www = tempfile::tempdir().unwrap();
    std::fs::create_dir(www.path().join("assets")).unwrap();
    for (name, content) in [
        ("index.html", "<p>hello"),
        ("sw.js", "1"),
        ("app.webmanifest", "{}"),
        ("assets/engine-Bx3_k0Zq.wasm", "\0asm"),
        ("assets/index-DzAbXy1Q.js", "1"),
    ] {
        std::fs::write(www.path().join(name), content).unwrap();
    }
    std::fs::write(www.path().parent().unwrap().join("corella-secret"), "no").unwrap();
    let hub = Hub::start(HubConfig { www: Some(www.path().into()), ..memory() }).await.unwrap();
    let base = format!("http://{}", hub.address());
    let get = async |path: &str| {
        let response = reqwest::get(format!("{base}{path}")).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (kind, cache) = (header("content-type"), header("cache-control"));
        (response.status().as_u16(), kind, cache, response.text().await.unwrap())
    };
    let health = get("/healthz").await;
    assert_eq!((health.0, health.3.as_str()), (200, "ok"));
    let page = get("/").await;
    assert_eq!((page.0, page.1.as_str(), page.2.as_str(), page.3.as_str()), (200, "text/html", "no-cache", "<p>hello"));
    let immutable = "public, max-age=31536000, immutable";
    for (path, kind, cache) in [
        ("/sw.js", "text/javascript", "no-cache"),
        ("/app.webmanifest", "application/manifest+json", "no-cache"),
        ("/assets/engine-Bx3_k0Zq.wasm", "application/wasm", immutable),
        ("/assets/index-DzAbXy1Q.js", "text/javascript", immutable),
    ] {
        let answer = get(path).await;
        assert_eq!((answer.0, answer.1.as_str(), answer.2.as_str()), (200, kind, cache), "{path}");
    }
    for path in ["/missing", "/assets/gone-Bx3_k0Zq.js", "/..%2fcorella-secret", "/%2e%2e/corella-secret"] {
        let answer = get(path).await;
        assert_eq!((answer.0, answer.2.as_str()), (404, "no-cache"), "{path}");
    }
    hub.stop().await.unwrap();
}

#[tokio::test]
async fn pages_of_foreign_origins_cannot_connect() {
    let hub = Hub::start(HubConfig { allow_origins: vec!["https://app.example".parse().unwrap()], ..memory() }).await.unwrap();
    let open = async |origin: &str| {
        let mut request = format!("ws://{}/ws", hub.address()).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(open("https://evil.example").await, 403);
    assert_eq!(open("null").await, 403);
    assert_eq!(open("https://app.example").await, 101);
    assert_eq!(open("http://localhost:5173").await, 101);
    assert_eq!(open(&format!("http://{}", hub.address())).await, 101);
}
