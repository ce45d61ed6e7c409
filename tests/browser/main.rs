//! The page at `/-/explain` in a real browser. Says "not run" unless `PALISADE_BROWSER` is set; where it is a folder,
//! pictures are left there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod chromium;
#[allow(dead_code)]
#[path = "../it/support/signing.rs"]
mod signing;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromium::{Browser, installed};
use palisade::config::Config;
use palisade::policy::Policies;
use palisade::server::{Running, start};
use serde_json::{Value, json};
use signing::{SigningKey, jwks};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

const POLICY: &str = "rules:
  - name: tenants see their own data
    when: has(claims.tenant)
    scope: { tenant: claims.tenant }
    limits: { requests_per_second: 20, burst: 60, range: 31d, entries: 5000 }
  - name: auditors see what they audit
    when: claims.role == 'auditor'
    scope: { tenant: claims.audited }
    backends: [loki]
";

fn main() {
    let Some(asked) = std::env::var_os("PALISADE_BROWSER") else {
        println!("browser: not run (set PALISADE_BROWSER=1)");
        return;
    };
    let Some(binary) = installed() else {
        println!("browser: not run (chromium is not installed)");
        std::process::exit(i32::from(std::env::var_os("CI").is_some()));
    };
    let pictures = Some(PathBuf::from(asked)).filter(|folder| folder.is_dir());
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let grafana = SigningKey::p256("id");
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), jwks([&grafana]).to_string()).unwrap();
    let running = runtime.block_on(served(keys.path()));
    let url = format!("http://{}/-/explain", running.control.unwrap());
    let mut page = Page { browser: Browser::start(&binary), url, pictures, grafana };
    let tests: [(&str, Test); 7] = [
        ("a_request_is_explained_by_keyboard_alone", a_request_is_explained_by_keyboard_alone),
        ("what_a_query_or_a_claim_holds_stays_text", what_a_query_or_a_claim_holds_stays_text),
        ("a_refusal_and_a_mistake_are_told", a_refusal_and_a_mistake_are_told),
        (
            "a_token_is_explained_in_the_header_of_its_issuer",
            a_token_is_explained_in_the_header_of_its_issuer,
        ),
        ("every_field_has_a_label_and_text_can_be_read", every_field_has_a_label_and_text_can_be_read),
        ("it_fits_a_phone_and_a_desk_light_and_dark", it_fits_a_phone_and_a_desk_light_and_dark),
        ("nothing_is_loaded_from_elsewhere_or_held_against_the_page", nothing_is_loaded_from_elsewhere),
    ];
    for (name, test) in tests {
        test(&mut page);
        println!("browser: {name} ... ok");
    }
    println!("browser: {} passed in {:.1} s", tests.len(), started.elapsed().as_secs_f64());
    drop(page);
    runtime.block_on(running.stop());
}

/// The issuer of the tokens that Grafana signs.
const GRAFANA: &str = "https://grafana.example.org/";

/// A server with an issuer that has no keys, and Grafana as an issuer with those of this file.
async fn served(keys: &Path) -> Running {
    let text = format!(
        "listen: [{{ address: 127.0.0.1:0 }}]
admin: {{ address: 127.0.0.1:0, control: 127.0.0.1:0 }}
issuers:
  - {{ url: https://sso.example.org, jwks_file: /nowhere, audiences: [palisade] }}
  - {{ url: {GRAFANA}, jwks_file: {keys:?}, audiences: [\"org:2\"], algorithms: [ES256], header: x-grafana-id }}
backends:
  loki: {{ url: http://127.0.0.1:9, labels: {{ tenant: tenant }} }}
  prometheus: {{ url: http://127.0.0.1:9, labels: {{ tenant: tenant }} }}
policies: policies
"
    );
    let config = Config::parse("test.yaml", &text, Path::new("")).unwrap_or_else(|e| panic!("{e}"));
    let policy = ("test.yaml".to_owned(), POLICY.to_owned());
    let policies = Policies::compile(&[policy], &config.limits).unwrap_or_else(|e| panic!("{e}"));
    start(&config, policies).await.unwrap()
}

type Test = fn(&mut Page);

struct Page {
    browser: Browser,
    url: String,
    pictures: Option<PathBuf>,
    /// Signs Grafana's tokens.
    grafana: SigningKey,
}

impl Page {
    fn open(&mut self) {
        self.browser.open("about:blank#");
        let url = self.url.clone();
        self.browser.open(&url);
    }

    fn fill(&mut self, field: &str, text: &str) {
        self.browser.value(&format!("document.getElementById({field:?}).value = {}", json!(text)));
    }

    /// Explains what `caller` asks of Prometheus; gives the text of the result.
    fn explain(&mut self, caller: &str, request: &str) -> String {
        self.open();
        self.fill("caller", caller);
        self.fill("backend", "prometheus");
        self.fill("request", request);
        self.browser.value("document.getElementById('submit').click()");
        self.shown()
    }

    fn shown(&mut self) -> String {
        self.browser.until("document.querySelector('#result h2') !== null");
        self.browser.value("document.getElementById('result').innerText").as_str().unwrap().to_owned()
    }

    fn picture(&mut self, name: &str) {
        if let Some(folder) = &self.pictures {
            let picture = STANDARD.decode(self.browser.picture()).unwrap();
            std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        }
    }
}

const CLAIMS: &str = r#"{"sub": "6d1f", "tenant": "acme-books", "groups": ["/staff"]}"#;
const QUERY: &str = r#"GET /api/v1/query?query=histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket{service="catalog"}[5m]))) / up"#;

fn a_request_is_explained_by_keyboard_alone(page: &mut Page) {
    page.open();
    page.browser.screen(1280, 900, false);
    let tab = |page: &mut Page| page.browser.press("Tab", 9, None);
    let focused =
        |page: &mut Page| page.browser.value("document.activeElement.id || document.activeElement.tagName");
    tab(page);
    assert_eq!(focused(page), "caller");
    page.browser.insert(CLAIMS);
    tab(page);
    assert_eq!(focused(page), "backend");
    page.browser.press("p", 80, Some("p"));
    assert_eq!(page.browser.value("document.getElementById('backend').value"), "prometheus");
    tab(page);
    assert_eq!(focused(page), "request");
    page.browser.value("document.getElementById('request').select()");
    page.browser.insert(QUERY);
    tab(page);
    assert_eq!(focused(page), "SUMMARY");
    tab(page);
    assert_eq!(focused(page), "submit");
    page.browser.press("Enter", 13, Some("\r"));
    let shown = page.shown();
    assert!(shown.starts_with("Sent\n") && shown.contains("POST /api/v1/query\n"), "{shown}");
    assert_eq!(focused(page), "H2", "who listens hears what came of it");
    let marks =
        page.browser.value("[...document.querySelectorAll('.outcome .code mark')].map((m) => m.textContent)");
    assert_eq!(marks, json!(["tenant=\"acme-books\",", "{tenant=\"acme-books\"}"]), "{shown}");
    for part in [
        "tenants see their own data",
        "✓ applies, and grants tenant=acme-books",
        "✗ does not apply: `when` cannot be evaluated: no such key `role`",
        "backend `prometheus`",
        "20 requests a second, 60 at once after a pause",
        "\"6d1f\"",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

fn what_a_query_or_a_claim_holds_stays_text(page: &mut Page) {
    let hostile = r#"<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"#;
    let claims = json!({ "tenant": "acme-books", "name": hostile, hostile: [hostile], "__proto__": "x" });
    let request = format!("GET /api/v1/query?query=up{{a=\"{}\"}}", hostile.replace('"', "'"));
    let shown = page.explain(&claims.to_string(), &request);
    assert!(shown.contains("<img src=x onerror=") && shown.contains("<script>window.hurt=1"), "{shown}");
    // A refusal quotes the query, and the backend's name comes back in a mistake.
    let refused = page.explain(CLAIMS, &format!("GET /api/v1/query?query=up{{{hostile}"));
    assert!(refused.starts_with("Refused: syntax\n"), "{refused}");
    page.open();
    page.fill("caller", CLAIMS);
    page.browser.value(&format!(
        "{{ const o = document.createElement('option'); o.textContent = {}; document.getElementById('backend').replaceChildren(o) }}",
        json!(hostile)
    ));
    page.browser.value("document.getElementById('submit').click()");
    let mistake = page.shown();
    assert!(mistake.contains("no backend `<img src=x"), "{mistake}");
    assert_eq!(page.browser.value("typeof window.hurt"), "undefined");
    assert_eq!(
        page.browser
            .value("document.querySelectorAll('#result img, #result script, #result [onerror]').length"),
        json!(0)
    );
    // And what would be put in by a mistake of ours does not run.
    for forced in
        ["document.body.innerHTML += '<b>x</b>'", "document.body.setAttribute('onclick', 'window.hurt=2')"]
    {
        let tried =
            format!("(() => {{ try {{ {forced}; return 'taken' }} catch {{ return 'refused' }} }})()");
        assert_eq!(page.browser.value(&tried), "refused", "{forced}");
    }
}

fn a_refusal_and_a_mistake_are_told(page: &mut Page) {
    let shown = page.explain("{\"sub\": \"x\"}", "GET /api/v1/query?query=up");
    assert!(shown.starts_with("Refused: no_rule\n"), "{shown}");
    let shown = page.explain("{\"sub\": ", "GET /api/v1/query?query=up");
    assert!(shown.contains("The claims are no JSON object."), "{shown}");
    let shown = page.explain("no.good.token", "GET /api/v1/query?query=up");
    assert!(shown.starts_with("Refused: malformed\n"), "{shown}");
    let shown = page.explain(CLAIMS, "up");
    assert!(shown.starts_with("Cannot be explained\n") && shown.contains("GET /path?query"), "{shown}");
    let shown = page.explain(CLAIMS, "GET /api/v1/targets");
    assert!(shown.starts_with("Answered by Palisade itself\n"), "{shown}");
}

fn a_token_is_explained_in_the_header_of_its_issuer(page: &mut Page) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "iss": GRAFANA, "aud": ["org:2"], "exp": now + 300, "tenant": "acme-books" });
    let token = page.grafana.token(&claims);
    let shown = page.explain(&token, "GET /api/v1/query?query=up");
    assert!(shown.starts_with("Sent\n") && !shown.contains(&token), "{shown}");
    assert!(shown.contains(GRAFANA) && shown.contains("x-grafana-id"), "{shown}");
}

fn every_field_has_a_label_and_text_can_be_read(page: &mut Page) {
    page.explain(CLAIMS, QUERY);
    let unlabelled = "[...document.querySelectorAll('input, select, textarea')].filter((f) => f.labels.length !== 1).length";
    assert_eq!(page.browser.value(unlabelled), json!(0));
    assert_eq!(page.browser.value("document.documentElement.lang"), "en");
    assert_eq!(page.browser.value("document.querySelectorAll('h1').length"), json!(1));
    assert_eq!(page.browser.value("document.getElementById('result').getAttribute('aria-live')"), "polite");
    // Contrast of at least 4.5 (WCAG 2.2, 1.4.3) of each text to what is behind it.
    let contrast = r"(() => {
      const rgb = (text) => text.match(/[\d.]+/g).map(Number);
      const light = ([r, g, b]) => { const c = [r, g, b].map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * c[0] + .7152 * c[1] + .0722 * c[2] };
      const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c } return [255, 255, 255] };
      const bad = [];
      for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || ['STYLE', 'SCRIPT', 'NOSCRIPT'].includes(e.tagName)) continue;
        const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
        if ((a + .05) / (b + .05) < 4.5) bad.push(`${e.tagName}.${e.className} ${((a + .05) / (b + .05)).toFixed(2)}`);
      }
      return bad })()";
    for dark in [false, true] {
        page.browser.screen(1280, 900, dark);
        assert_eq!(page.browser.value(contrast), json!([]), "dark: {dark}");
    }
    let small = "[...document.querySelectorAll('button, input, select, textarea, summary')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 43).map((e) => e.id || e.tagName)";
    page.browser.screen(390, 844, false);
    assert_eq!(page.browser.value(small), json!([]), "what is touched is large enough");
}

fn it_fits_a_phone_and_a_desk_light_and_dark(page: &mut Page) {
    for (name, width, height) in [("phone", 390, 844), ("desk", 1280, 900)] {
        for dark in [false, true] {
            page.browser.screen(width, height, dark);
            let scheme = if dark { "dark" } else { "light" };
            page.open();
            page.picture(&format!("{name}-{scheme}-empty"));
            page.explain(CLAIMS, QUERY);
            let wide = page.browser.value("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{name}: {wide} wide");
            page.picture(&format!("{name}-{scheme}"));
            let ground = page.browser.value("getComputedStyle(document.body).backgroundColor");
            assert_eq!(ground == "rgb(20, 23, 26)", dark, "{ground}");
        }
    }
    page.explain("{\"sub\": \"x\"}", "GET /api/v1/query?query=up");
    page.browser.screen(390, 844, true);
    page.picture("phone-dark-refused");
}

fn nothing_is_loaded_from_elsewhere(page: &mut Page) {
    let asked = page.browser.events("Network.requestWillBeSent");
    let elsewhere: Vec<&Value> = asked
        .iter()
        .map(|event| &event["request"]["url"])
        .filter(|url| {
            !url.as_str().unwrap().starts_with(page.url.strip_suffix("/-/explain").unwrap())
                && !url.as_str().unwrap().starts_with("about:")
        })
        .collect();
    assert!(!asked.is_empty() && elsewhere.is_empty(), "{elsewhere:?}");
    assert_eq!(page.browser.events("Runtime.exceptionThrown"), [json!(null); 0]);
    let kept =
        page.browser.value("[localStorage.length, sessionStorage.length, document.cookie, location.search]");
    assert_eq!(kept, json!([0, 0, "", ""]));
}
