//! The demo for people: what runs, what to try, and every request as a `curl` line to paste.

use super::Demo;
use super::check::{Checker, HANDSHAKE};
use super::data::{SHOPS, Shop};
use super::facts;
use super::issuer::{ALICE, BOB, CLIENT, REALM, User};
use super::script::{Backend, Line, Place, Sends, Who};
use std::fmt::Write as _;

/// What runs, one question with its answers, and three things to try.
pub async fn welcome(demo: &Demo) -> String {
    let mut text = String::from(
        "Palisade is running. Behind it are the metrics, logs, traces and alerts of two bookstores.\n\n",
    );
    for (user, shop) in [ALICE, BOB].iter().zip(SHOPS) {
        let [(first, _), (second, _)] = shop.titles;
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "  {:<6} may see {:<11} which sells {first} and {second}", user.name, user.tenant);
    }
    text.push('\n');
    for backend in Backend::ALL {
        let direct = Place::Direct(backend);
        let whose = if demo.is_embedded(direct) { "everyone's data, at" } else { "yours, at" };
        let (name, door) = (backend.name(), demo.base(Place::Palisade(backend)));
        let _ = writeln!(text, "  {name:<13} {door:<36} ({whose} {})", demo.base(direct));
    }
    let _ = write!(text, "\n{}", compared(demo).await);
    let _ = write!(
        text,
        "\nThree things to try while this runs, in another terminal or a browser:\n\n{}",
        to_try(demo)
    );
    text.push_str("\nCtrl-C ends it.\n");
    text
}

/// Everyone's answer to one question, if the demo has the data.
async fn compared(demo: &Demo) -> String {
    if !demo.is_embedded(Place::Direct(Backend::Prometheus)) {
        return String::new();
    }
    let mut text = format!("Who asks `{STOCK}` is answered:\n\n");
    let checker = Checker::new(demo);
    let [through, direct] = [Place::Palisade, Place::Direct].map(|place| place(Backend::Prometheus));
    let asked = [
        ("alice, of Palisade", Who::A, through),
        ("bob, of Palisade", Who::B, through),
        ("nobody, of Palisade", Who::Nobody, through),
        ("anybody, of Prometheus", Who::Nobody, direct),
    ];
    for (who, token, place) in asked {
        let line = Line::query("", token, place, STOCK);
        let answer = match checker.send(&line).await {
            Ok((200, body)) => {
                let answer = serde_json::from_slice(&body).unwrap_or_default();
                facts::vector(&answer).join(", ").replace("title=", "")
            }
            Ok((status, _)) => format!("refused ({status})"),
            Err(fault) => fault,
        };
        let _ = writeln!(text, "  {who:<23} {answer}");
    }
    text
}

/// The question that the demo begins with.
const STOCK: &str = "sum by (title) (books_in_stock)";

fn to_try(demo: &Demo) -> String {
    let [_, Shop { tenant: other, .. }] = SHOPS;
    let foreign = format!("books_in_stock{{tenant=\"{other}\"}}");
    let curl = curl(demo, &Line::query("", Who::A, Place::Palisade(Backend::Prometheus), &foreign));
    format!(
        "1. Log in as {user} and ask for {other}'s stock. The answer is empty, as if there were no {other}:\n\n{login}\n{curl}\n\n\
         2. Open {control}/-/explain and see how such a question is rewritten, and by which rule.\n   \
         Backend `prometheus`, claims `{{\"tenant\": \"{own}\"}}`, request `GET /api/v1/query?query=up`.\n\n\
         3. `palisade demo --all` prints {count} requests to paste, over logs, traces, alerts, silences and a live tail;\n   \
         `palisade demo --check` asks them all and fails on a wrong answer.\n",
        user = ALICE.name,
        own = ALICE.tenant,
        login = login(demo, "TOKEN_A", &ALICE),
        control = demo.base(Place::Control),
        count = demo.lines().len(),
    )
}

/// A line of shell that logs `user` in.
fn login(demo: &Demo, name: &str, user: &User) -> String {
    format!(
        "{name}=$(curl -s {}/protocol/openid-connect/token -d grant_type=password -d client_id={CLIENT} -d username={} -d password={} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')",
        demo.base(Place::Issuer),
        user.name,
        user.password,
    )
}

/// What to run before the lines: it gets the tokens. They live five minutes.
pub fn tokens(demo: &Demo) -> String {
    let forged = demo.token(Who::Forger).unwrap_or_default();
    format!(
        "# The tokens, of the realm `{REALM}`; each lives five minutes.\n{}\n{}\n# {}'s with the other tenant in its claims.\nFORGED={forged}\n",
        login(demo, "TOKEN_A", &ALICE),
        login(demo, "TOKEN_B", &BOB),
        ALICE.name,
    )
}

/// `line` as a command, with its comment if it has one.
pub fn curl(demo: &Demo, line: &Line) -> String {
    let mut text = if line.says.is_empty() { String::new() } else { format!("# {}\n", line.says) };
    text.push_str("curl -sS -w '\\n'");
    match &line.sends {
        Sends::Url if !line.pairs.is_empty() => text.push_str(" -G"),
        Sends::Url | Sends::Form => {}
        Sends::Json(json) => {
            let _ = write!(text, " -H 'Content-Type: application/json' -d {}", quoted(json));
        }
        Sends::Delete => text.push_str(" -X DELETE"),
        // Some seconds of it.
        Sends::Tail => {
            text.push_str(" -N -m 5 --http1.1 -G");
            for (name, value) in HANDSHAKE {
                let _ = write!(text, " -H '{name}: {value}'");
            }
        }
    }
    if line.place != Place::Control {
        match line.who {
            Who::A => text.push_str(" -H \"Authorization: Bearer $TOKEN_A\""),
            Who::B => text.push_str(" -H \"Authorization: Bearer $TOKEN_B\""),
            Who::Forger => text.push_str(" -H \"Authorization: Bearer $FORGED\""),
            Who::Nobody => {}
        }
    }
    if let Some((name, value)) = &line.header {
        let _ = write!(text, " -H {}", quoted(&format!("{name}: {value}")));
    }
    let _ = write!(text, " {}", quoted(&format!("{}{}", demo.base(line.place), line.path)));
    for (name, value) in &line.pairs {
        let _ = write!(text, " --data-urlencode {}", quoted(&format!("{name}={value}")));
    }
    text
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_keep_a_text_one_word() {
        assert_eq!(super::quoted("{a=\"b\"} 'c'"), "'{a=\"b\"} '\\''c'\\'''");
    }
}
