//! A proxy in front of a server that counts what it is asked, under another name than the server's own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::http::Base;

/// The proxy. Its threads end with the process.
pub struct Counting {
    /// Where it is, with the server's prefix.
    pub base: Base,
    asked: Arc<AtomicUsize>,
}

impl Counting {
    /// Starts one in front of `server`, which is told its own name as the `Host`.
    pub fn start(server: &Base) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        let authority = listener.local_addr().map_err(|e| e.to_string())?.to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, server_at) = (Arc::clone(&asked), server.authority.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let server = server_at.clone();
                // A server that is gone is a connection that ends without an answer.
                thread::spawn(move || forward(client, &server));
            }
        });
        Ok(Self { base: Base { authority, prefix: server.prefix.clone() }, asked })
    }

    /// How many requests have come so far: each has a connection of its own.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// One GET there, its answer back.
fn forward(mut client: TcpStream, server: &str) -> Option<()> {
    client.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let read = client.read(&mut chunk).ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.split(' ').nth(1)?;
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    client.write_all(&answer).ok()
}
