//! What Prometheus scrapes: one page a tenant and region, the same for every set of servers. It lives as long as the process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::seed::targets;

/// Serves the pages of all targets for a seed that starts at `start`; returns `host:port`.
pub fn start(start: i64) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, start));
        }
    });
    Ok(address)
}

/// Answers one request, `GET /OWNER/REGION HTTP/1.1`.
fn serve(mut stream: TcpStream, start: i64) -> Option<()> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut part).ok()? {
            0 => return None,
            n => head.extend_from_slice(&part[..n]),
        }
    }
    let line = String::from_utf8_lossy(&head).lines().next()?.to_owned();
    let owner = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let (owner, region) = owner.split_once('/')?;
    let page = targets::page(owner, region, start);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(answer.as_bytes()).ok()
}
