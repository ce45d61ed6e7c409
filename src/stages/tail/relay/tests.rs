use super::*;
use crate::budget::Budget;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{DuplexStream, duplex};

const TIMES: Times = Times { ping: Duration::from_millis(50), patience: Duration::from_millis(200) };
const FEW_BYTES: usize = 4096;

type Side = WebSocketStream<DuplexStream>;

/// A relay with both of its other sides: the client and the backend.
async fn relay(message_bytes: usize) -> (Relay<DuplexStream, DuplexStream>, Side, Side) {
    relay_within(message_bytes, 1 << 30).await
}

/// The same, where messages may take `memory` bytes.
async fn relay_within(
    message_bytes: usize,
    memory: usize,
) -> (Relay<DuplexStream, DuplexStream>, Side, Side) {
    let ((here, client), (there, backend)) = (duplex(FEW_BYTES), duplex(FEW_BYTES));
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes));
    let there = Metered::new(there, Budget::of(memory).permit(Arc::default()));
    let there = WebSocketStream::from_raw_socket(there, Role::Client, Some(config)).await;
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let backend = WebSocketStream::from_raw_socket(backend, Role::Server, None).await;
    (Relay::new(here, there, TIMES).await, client, backend)
}

/// Passes until it ends, and closes both sides.
async fn run(mut relay: Relay<DuplexStream, DuplexStream>) -> (Ending, u64) {
    let ending = relay.pass().await;
    let bytes = relay.close(ending.clone(), TIMES.patience).await;
    (ending, bytes)
}

fn text(text: impl Into<String>) -> Message {
    Message::text(text.into())
}

/// The next message that is no ping and no pong.
async fn next(side: &mut Side) -> Option<Message> {
    loop {
        match side.next().await?.ok()? {
            Message::Ping(_) | Message::Pong(_) => {}
            other => return Some(other),
        }
    }
}

fn close(code: CloseCode, reason: &str) -> CloseFrame {
    CloseFrame { code, reason: reason.to_owned().into() }
}

#[tokio::test]
async fn messages_pass_one_way_and_a_client_says_nothing_but_its_close() {
    let (relay, mut client, mut backend) = relay(1000).await;
    let relaying = tokio::spawn(run(relay));
    for word in ["one", "two", "three"] {
        client.send(text("a client's")).await.unwrap();
        client.send(Message::binary(vec![0; 100])).await.unwrap();
        backend.send(text(word)).await.unwrap();
        assert_eq!(next(&mut client).await, Some(text(word)));
    }
    client.close(Some(close(CloseCode::Away, "gone"))).await.unwrap();
    assert_eq!(next(&mut backend).await, Some(Message::Close(Some(close(CloseCode::Normal, "")))));
    let (ending, bytes) = relaying.await.unwrap();
    assert_eq!((ending.reason, bytes), (TailEnd::Client, 11));
}

#[tokio::test]
async fn quiet_sides_live_as_long_as_they_answer_pings() {
    let (relay, mut client, mut backend) = relay(1000).await;
    let relaying = tokio::spawn(run(relay));
    let answering = async {
        let wait = tokio::time::sleep(3 * TIMES.patience);
        tokio::select! {
            () = wait => {}
            said = next(&mut client) => panic!("{said:?}"),
            said = next(&mut backend) => panic!("{said:?}"),
        }
    };
    answering.await;
    assert!(!relaying.is_finished());
    // From here on the client answers nothing, the backend does.
    let backend = tokio::spawn(async move { next(&mut backend).await });
    let (ending, _) = relaying.await.unwrap();
    assert_eq!(ending.reason, TailEnd::Stalled);
    assert!(backend.await.unwrap().is_some());
    while let Some(Ok(said)) = client.next().await {
        if !said.is_ping() {
            assert_eq!(said, Message::Close(Some(close(CloseCode::Policy, "too slow"))));
        }
    }
}

#[tokio::test]
async fn a_backend_that_is_silent_is_gone_and_the_client_is_cut_off_as_by_it() {
    let (relay, mut client, backend) = relay(1000).await;
    let relaying = tokio::spawn(run(relay));
    let said = next(&mut client).await;
    let (ending, _) = relaying.await.unwrap();
    assert_eq!((ending, said), (Ending { reason: TailEnd::Backend, close: None }, None));
    drop(backend);
}

#[tokio::test]
async fn a_backend_that_breaks_is_cut_off() {
    let (relay, mut client, backend) = relay(1000).await;
    drop(backend);
    let (ending, _) = run(relay).await;
    assert_eq!(ending, Ending { reason: TailEnd::Backend, close: None });
    assert_eq!(next(&mut client).await, None);
}

#[tokio::test]
async fn one_message_waits_for_a_slow_client_and_then_it_ends() {
    let (mut relay, client, mut backend) = relay(1 << 20).await;
    let written = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        while backend.send(text("x".repeat(FEW_BYTES))).await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert_eq!(relay.pass().await.reason, TailEnd::Stalled);
    let written = written.load(Ordering::SeqCst);
    assert!((1..6).contains(&written), "{written}");
    drop((relay, client));
    writing.await.unwrap();
}

#[tokio::test]
async fn a_message_has_so_many_bytes_and_not_one_more() {
    let (relay, mut client, mut backend) = relay(1000).await;
    let relaying = tokio::spawn(run(relay));
    backend.send(text("x".repeat(1000))).await.unwrap();
    assert_eq!(next(&mut client).await, Some(text("x".repeat(1000))));
    backend.send(text("x".repeat(1001))).await.unwrap();
    let told = close(CloseCode::Size, "a message over the limit");
    assert_eq!(next(&mut client).await, Some(Message::Close(Some(told))));
    drop((client, backend));
    assert_eq!(relaying.await.unwrap().0.reason, TailEnd::TooLarge);
}

#[tokio::test]
async fn what_a_backend_says_at_its_end_is_told_as_far_as_it_concerns_the_client() {
    for (said, told) in [
        (Some(close(CloseCode::Normal, "")), close(CloseCode::Normal, "")),
        (Some(close(CloseCode::Restart, "10.0.0.7")), close(CloseCode::Restart, "ended by the backend")),
        (
            Some(close(CloseCode::Error, "reached tail max duration limit")),
            close(CloseCode::Error, "reached tail max duration limit"),
        ),
        (
            Some(close(CloseCode::Error, "max concurrent tail requests limit exceeded, 11 > 10")),
            close(CloseCode::Error, "ended by the backend"),
        ),
        (Some(close(CloseCode::Policy, "token expired")), close(CloseCode::Error, "ended by the backend")),
        (None, close(CloseCode::Normal, "ended by the backend")),
    ] {
        let (relay, mut client, mut backend) = relay(1000).await;
        let relaying = tokio::spawn(run(relay));
        backend.send(Message::Close(said)).await.unwrap();
        assert_eq!(next(&mut client).await, Some(Message::Close(Some(told))));
        assert_eq!(relaying.await.unwrap().0.reason, TailEnd::Backend);
    }
}

#[tokio::test]
async fn a_backend_that_speaks_otherwise_ends_it() {
    let (relay, mut client, mut backend) = relay(1000).await;
    let relaying = tokio::spawn(run(relay));
    backend.send(Message::binary(vec![1])).await.unwrap();
    assert!(matches!(next(&mut client).await, Some(Message::Close(Some(f))) if f.code == CloseCode::Error));
    drop(client);
    assert_eq!(relaying.await.unwrap().0.reason, TailEnd::Backend);
}

/// ATK-65: whoever pings and takes no answer is not listened to, and so costs what is on the way and no more.
#[tokio::test]
async fn atk_65_pings_that_nobody_reads_cost_constant_memory() {
    for by_client in [true, false] {
        let (mut relay, client, backend) = relay(1 << 20).await;
        let (mut pinging, mut quiet) = if by_client { (client, backend) } else { (backend, client) };
        let answering = tokio::spawn(async move { while let Some(Ok(_)) = quiet.next().await {} });
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let flood = tokio::spawn(async move {
            // The largest that a ping can be; nothing is read, so no pong either.
            while pinging.send(Message::Ping(vec![0; 125].into())).await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let ending = relay.pass().await;
        assert_eq!(ending.reason, if by_client { TailEnd::Stalled } else { TailEnd::Backend });
        // What the two pipes hold, and what was read of them.
        let sent = sent.load(Ordering::SeqCst);
        assert!((30..150).contains(&sent), "{sent} pings were taken");
        drop(relay);
        answering.await.unwrap();
        flood.await.unwrap();
    }
}

#[tokio::test]
async fn a_message_takes_memory_until_the_client_has_it() {
    let (relay, mut client, mut backend) = relay_within(1 << 20, 64 * 1024).await;
    let relaying = tokio::spawn(run(relay));
    for _ in 0..10 {
        backend.send(text("x".repeat(60_000))).await.unwrap();
        assert_eq!(next(&mut client).await, Some(text("x".repeat(60_000))));
    }
    let sending = tokio::spawn(async move {
        let _ = backend.send(text("x".repeat(70_000))).await;
        backend
    });
    let told = close(CloseCode::Again, "no memory is left, try again later");
    assert_eq!(next(&mut client).await, Some(Message::Close(Some(told))));
    drop((client, sending.await));
    assert_eq!(relaying.await.unwrap().0.reason, TailEnd::NoMemory);
}
