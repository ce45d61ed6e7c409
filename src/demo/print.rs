//! The demo's requests as `curl` lines to paste.

use super::Demo;
use super::issuer::{ALICE, BOB, CLIENT};
use super::script::{Line, Place, Who};
use std::fmt::Write as _;

/// What to export first: the tokens, and how to get fresh ones.
pub fn tokens(demo: &Demo) -> String {
    let mut text = String::new();
    for (name, user, who) in [("TOKEN_A", ALICE, Who::A), ("TOKEN_B", BOB, Who::B)] {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# {} of {}, for five minutes; a fresh one:\n#   {name}=$(curl -s {}/protocol/openid-connect/token -d grant_type=password -d client_id={CLIENT} -d username={} -d password={} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\nexport {name}={}\n",
            user.name,
            user.tenant,
            demo.base(Place::Issuer),
            user.name,
            user.password,
            demo.token(who).unwrap_or_default(),
        );
    }
    let forged = demo.token(Who::Forger).unwrap_or_default();
    let _ =
        writeln!(text, "# {}'s with the other tenant in its claims\nexport FORGED={forged}\n", ALICE.name);
    text
}

/// `line` with its comment.
pub fn curl(demo: &Demo, line: &Line) -> String {
    let mut text = format!("# {}\ncurl -sS -w '\\n'", line.says);
    if !line.pairs.is_empty() && !line.post {
        text.push_str(" -G");
    }
    match line.who {
        Who::A => text.push_str(" -H \"Authorization: Bearer $TOKEN_A\""),
        Who::B => text.push_str(" -H \"Authorization: Bearer $TOKEN_B\""),
        Who::Forger => text.push_str(" -H \"Authorization: Bearer $FORGED\""),
        Who::Nobody => {}
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
