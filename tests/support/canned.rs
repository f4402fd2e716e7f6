//! An HTTP server that says what a test tells it to, for answers that no well-behaved server gives.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Answers every request with what `answer` makes of its first line and headers (lower-case), and remembers them.
pub struct CannedServer {
    endpoint: String,
    seen: Arc<Seen>,
}

/// Head and body of each request.
type Seen = Mutex<Vec<(String, Vec<u8>)>>;

impl CannedServer {
    /// The thread ends with the process.
    pub fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (answer.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { endpoint, seen }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The heads of the requests so far, oldest first.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    /// Their bodies.
    pub fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(_, body)| String::from_utf8_lossy(body).into_owned()).collect()
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> Vec<u8>, log: &Seen) {
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        if let Some(at) = got.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => got.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    };
    let head = String::from_utf8_lossy(&got[..end]).to_lowercase();
    let len = head.lines().find_map(|l| l.strip_prefix("content-length: ")).and_then(|l| l.trim().parse().ok());
    // The whole body is read: an answer before that could reach the client as a reset.
    let mut body = got.split_off(end);
    while body.len() < len.unwrap_or(0usize) {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => body.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    log.lock().unwrap().push((head.clone(), body));
    let _ = stream.write_all(&answer(&head));
}

/// An answer that ends the connection, with the right length.
pub fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// An error in S3's own form.
pub fn error(status: &str, code: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>words of the server</Message></Error>"
    );
    reply(status, "content-type: application/xml\r\n", &body)
}
