//! A WebSocket server for the browser tests: joins the two sockets that ask for the same path.
//!
//! It knows no messages. Below `/mute/` it never says "ready"; below `/deaf/` it says so and then answers nothing at all.
//! `cargo run --example relay -- 127.0.0.1:0` prints the address it listens on.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("ws://{}", listener.local_addr()?);
    let rooms = native::Rooms::default();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(native::serve(stream, rooms.clone()));
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::{
        collections::HashMap,
        sync::{Arc, Mutex, PoisonError},
    };

    use futures_util::{SinkExt, StreamExt};
    use tokio::{
        net::TcpStream,
        sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    };
    use tokio_tungstenite::tungstenite::{
        Message,
        handshake::server::{Request, Response},
    };

    /// The end of the socket that came first, per path.
    pub(crate) type Rooms = Arc<Mutex<HashMap<String, (UnboundedSender<Message>, UnboundedReceiver<Message>)>>>;

    pub(crate) async fn serve(stream: TcpStream, rooms: Rooms) {
        let mut path = String::new();
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let accepted = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response: Response| {
            path = request.uri().path().to_owned();
            Ok(response)
        });
        let Ok(socket) = accepted.await else { return };
        let (mut out, mut input) = socket.split();
        if path.starts_with("/mute/") {
            while let Some(Ok(_)) = input.next().await {}
            return;
        }
        if out.send(Message::text("ready")).await.is_err() {
            return;
        }
        if path.starts_with("/deaf/") {
            while let Some(Ok(_)) = input.next().await {}
            return;
        }
        let (to_other, mut from_other) = join(&rooms, path);
        loop {
            tokio::select! {
                message = from_other.recv() => {
                    let Some(message) = message else { break };
                    if out.send(message).await.is_err() {
                        break;
                    }
                }
                message = input.next() => match message {
                    Some(Ok(Message::Text(text))) if text.as_str() == "ping" => {
                        if out.send(Message::text("pong")).await.is_err() {
                            break;
                        }
                    }
                    Some(Ok(message @ Message::Binary(_))) => {
                        // Fails once the other socket is gone; the end of its channel is noticed above.
                        let _ = to_other.send(message);
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
            }
        }
        let _ = out.close().await;
    }

    /// Returns the ways to and from the other socket, come or yet to come.
    fn join(rooms: &Rooms, path: String) -> (UnboundedSender<Message>, UnboundedReceiver<Message>) {
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ends) = rooms.remove(&path) {
            return ends;
        }
        let (to_second, from_first) = unbounded_channel();
        let (to_first, from_second) = unbounded_channel();
        rooms.insert(path, (to_first, from_first));
        (to_second, from_second)
    }
}
