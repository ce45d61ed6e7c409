//! Tokens over time, with a real Keycloak: grants, key rotation, disabled users, outages.
//!
//! Palisade here is one of its own, which discovers the realm's keys through a proxy that counts: under another
//! name than the realm's own, as where the issuer's public name cannot be reached from within a cluster.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use serde_json::{Value, json};

use crate::attacks::{holds, leaked};
use crate::counting::Counting;
use crate::http::{Answer, Request};
use crate::keycloak::{Keycloak, access_token};
use crate::palisade::Palisade;
use crate::report::Report;
use crate::seed::SPAN;
use crate::world::World;

/// At least this long between two fetches that unknown keys ask for: `KeyTiming::interval`.
const INTERVAL: Duration = Duration::from_secs(5);
/// How far the two clocks may be apart, as configured here: they are one.
const SKEW: Duration = Duration::from_secs(1);
/// How long a token of the client `short-lived` lives.
const SHORT: Duration = Duration::from_secs(10);

type Test = fn(&mut Setting) -> Result<(), String>;

/// In this order: the last ones change the realm's keys, and end Keycloak.
const ALL: [(&str, Test); 10] = [
    ("Keycloak: password, client-credentials and refresh grants", grants),
    ("Keycloak: groups with their full path, roles of the realm and of a client", groups_and_roles),
    ("Keycloak: organizations, as a list and as a map", organizations),
    ("Keycloak: a lightweight token grants what its mappers put into it", lightweight),
    ("Keycloak: a disabled user's token dies with its exp", disabled_user),
    ("Keycloak: ES256, PS256 and EdDSA", algorithms),
    ("Keycloak: keys rotate while requests flow", rotation),
    ("ATK-3C unknown-kid-storm, counted at the issuer", storm),
    ("Keycloak: known keys serve while it is down, ATK-3C unknown kids do not stampede", outage),
    ("Keycloak: new keys are taken when it is back", recovery),
];

struct Setting<'w> {
    keycloak: &'w mut Keycloak,
    issuer: Counting,
    palisade: Palisade,
    /// The end of the seeded time.
    end: String,
}

/// Runs all whose name holds `only`.
pub fn run(world: &mut World, dir: &Path, only: &str, report: &mut Report) {
    let wanted = ALL.iter().any(|(name, _)| name.contains(only));
    if !wanted || world.palisade.is_none() || !world.full.at.contains_key("prometheus") {
        return;
    }
    let end = (world.start + SPAN).to_string();
    let Some(keycloak) = world.keycloak.as_mut() else { return };
    let started = start(&world.full, keycloak, &dir.join("sessions"));
    let (issuer, palisade) = match started {
        Ok(started) => started,
        Err(why) => return report.case("Keycloak: behind another name", Err(why)),
    };
    let mut setting = Setting { keycloak, issuer, palisade, end };
    for (name, test) in ALL {
        if name.contains(only) {
            report.case(name, test(&mut setting));
        }
    }
}

fn start(
    full: &crate::backends::Backends,
    keycloak: &Keycloak,
    dir: &Path,
) -> Result<(Counting, Palisade), String> {
    let issuer = Counting::start(&keycloak.realm)?;
    let document = format!("{}/.well-known/openid-configuration", issuer.base.url());
    let settings = format!(
        "url: {}\n    discovery_url: {document}\n    skew: {}s\n    algorithms: [RS256, PS256, ES256, EdDSA]",
        keycloak.realm.url(),
        SKEW.as_secs()
    );
    let policies = dir.join("policies");
    std::fs::create_dir_all(&policies).map_err(|e| e.to_string())?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/examples");
    for name in ["tenant-claim", "groups", "support-role", "service-account"] {
        let file = format!("{name}.yaml");
        std::fs::copy(examples.join(name).join(&file), policies.join(&file)).map_err(|e| e.to_string())?;
    }
    let policies = policies.display().to_string();
    let palisade = Palisade::start_with(&dir.join("palisade"), full, &settings, &policies)?;
    Ok((issuer, palisade))
}

impl Setting<'_> {
    fn ask(&self, token: &str) -> Result<Answer, String> {
        self.get("/api/v1/query", &[("query", "canary"), ("time", self.end.as_str())], token)
    }

    fn get(&self, path: &str, params: &[(&str, &str)], token: &str) -> Result<Answer, String> {
        let params: Vec<_> = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Request::get(path, &params).bearer(Some(token)).send(&self.palisade.base.under("/prometheus"))
    }

    /// The token is taken, and shows what is its tenant's.
    fn is_taken(&self, token: &str) -> Result<(), String> {
        let answer = self.ask(token)?;
        if let Some(canary) = leaked(&answer, "alice") {
            return Err(format!("LEAK of {canary}"));
        }
        match answer.status == 200 && holds(&answer.text(), "canary-acme-books") {
            true => Ok(()),
            false => Err(format!("{} {}", answer.status, answer.text())),
        }
    }

    /// The token is taken, and shows what is of two tenants and no others.
    fn shows_both(&self, token: &str) -> Result<(), String> {
        let answer = self.ask(token)?;
        let text = answer.text();
        let both = holds(&text, "canary-acme-books") && holds(&text, "canary-globex-lit");
        match both && leaked(&answer, "carol").is_none() {
            true => Ok(()),
            false => Err(format!("{} {text}", answer.status)),
        }
    }

    fn is_refused(&self, token: &str, status: u16) -> Result<(), String> {
        let answer = self.ask(token)?;
        match answer.status == status {
            true => Ok(()),
            false => Err(format!("{} instead of {status}: {}", answer.status, answer.text())),
        }
    }

    /// The token of a client of its own, which no user stands behind.
    fn job(&self, client: &str) -> Result<String, String> {
        let secret = format!("{client}-secret");
        let params =
            [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret.as_str())];
        let token = access_token(&self.keycloak.granted(&params)?)?;
        let claims = part(&token, 1)?;
        match claims["azp"] == client && claims["client_id"] == client {
            true => Ok(token),
            false => Err(format!("the control fails: {claims}")),
        }
    }

    fn alice(&self) -> Result<String, String> {
        self.keycloak.token("storefront", "alice")
    }
}

fn part(token: &str, at: usize) -> Result<Value, String> {
    let part = token.split('.').nth(at).ok_or("not a token")?;
    let bytes = B64.decode(part).map_err(|e| e.to_string())?;
    serde_json::from_slice(&bytes).map_err(|e| e.to_string())
}

fn grants(setting: &mut Setting) -> Result<(), String> {
    let keycloak = &setting.keycloak;
    let password = keycloak.grant("storefront", "alice")?;
    setting.is_taken(&access_token(&password)?)?;
    let refresh = password["refresh_token"].as_str().ok_or("no refresh token")?;
    let refreshed = keycloak.granted(&[
        ("grant_type", "refresh_token"),
        ("client_id", "storefront"),
        ("refresh_token", refresh),
    ])?;
    let (first, second) = (access_token(&password)?, access_token(&refreshed)?);
    if first == second {
        return Err("the refresh grant gave the same token".into());
    }
    setting.is_taken(&second)?;
    // One whose token says its tenant, and one that is known by its name.
    setting.is_taken(&setting.job("acme-nightly")?)?;
    setting.shows_both(&setting.job("grafana-alerting")?)
}

/// The policies' examples, with the claims of real tokens.
fn groups_and_roles(setting: &mut Setting) -> Result<(), String> {
    let member = setting.keycloak.token("staff-console", "judy")?;
    if part(&member, 1)?["groups"] != json!(["/tenants/acme-books"]) {
        return Err(format!("the control fails: {}", part(&member, 1)?));
    }
    setting.is_taken(&member)?;
    // A group of the same name elsewhere in the tree.
    setting.is_refused(&setting.keycloak.token("staff-console", "ken")?, 403)?;
    let support = setting.keycloak.token("storefront", "sam")?;
    setting.shows_both(&support).map_err(|why| format!("support: {why}"))?;
    let auditor = setting.keycloak.token("storefront", "audrey")?;
    if part(&auditor, 1)?["resource_access"]["palisade"]["roles"] != json!(["auditor"]) {
        return Err(format!("the control fails: {}", part(&auditor, 1)?));
    }
    // The role is for rules and alerts.
    setting.is_refused(&auditor, 403)?;
    let alerts = |token: &str| setting.get("/api/v1/alerts", &[], token);
    match (alerts(&auditor)?.status, alerts(&support)?.status) {
        (200, 403) => Ok(()),
        told => Err(format!("alerts of an auditor and of support: {told:?}")),
    }
}

/// A token says the organizations that its user is in and that were asked for, by their names alone or with details.
fn organizations(setting: &mut Setting) -> Result<(), String> {
    let asking = |user: &str, scope: &str| {
        let password = format!("{user}-password");
        let params = [
            ("grant_type", "password"),
            ("client_id", "storefront"),
            ("username", user),
            ("password", password.as_str()),
            ("scope", scope),
        ];
        access_token(&setting.keycloak.granted(&params)?)
    };
    let scopes = setting.keycloak.administer("GET", "/client-scopes", &Value::Null)?;
    let scopes = scopes.json().ok_or("no scopes")?;
    let scope = scopes.as_array().into_iter().flatten().find(|scope| scope["name"] == "organization");
    let scope = scope.ok_or("no scope `organization`")?;
    let mut mapper = scope["protocolMappers"][0].clone();
    let place = |part: &Value| part["id"].as_str().map(str::to_owned).ok_or("no id");
    let path = format!("/client-scopes/{}/protocol-mappers/models/{}", place(scope)?, place(&mapper)?);
    for detailed in [false, true] {
        mapper["config"]["addOrganizationId"] = detailed.to_string().into();
        setting.keycloak.administer("PUT", &path, &mapper)?;
        let token = asking("olivia", "openid organization")?;
        let said = part(&token, 1)?["organization"].clone();
        let as_meant = match detailed {
            true => said["acme-books"]["id"].is_string(),
            false => said == json!(["acme-books"]),
        };
        if !as_meant {
            return Err(format!("the control fails: {said}"));
        }
        setting.is_taken(&token)?;
    }
    // Whoever does not ask for it, or is in none, has no such claim; and nobody gets another's by its name.
    setting.is_refused(&asking("olivia", "openid")?, 403)?;
    setting.is_refused(&asking("ken", "openid organization")?, 403)?;
    match asking("olivia", "openid organization:globex-lit") {
        Ok(token) => setting.is_refused(&token, 403),
        Err(why) if why.contains("invalid_scope") => Ok(()),
        Err(why) => Err(why),
    }
}

/// Keycloak's lightweight tokens hold only what a mapper says is for them: without the audience none is taken.
fn lightweight(setting: &mut Setting) -> Result<(), String> {
    let bare = setting.keycloak.token("lightweight", "alice")?;
    if part(&bare, 1)?.get("tenant").is_some() {
        return Err(format!("the control fails: {}", part(&bare, 1)?));
    }
    setting.is_refused(&bare, 401)?;
    setting.is_taken(&setting.keycloak.token("lightweight-mapped", "alice")?)
}

fn disabled_user(setting: &mut Setting) -> Result<(), String> {
    let grant = setting.keycloak.grant("short-lived", "heidi")?;
    let begun = Instant::now();
    let token = access_token(&grant)?;
    setting.is_taken(&token)?;
    let users = setting.keycloak.administer("GET", "/users?username=heidi&exact=true", &Value::Null)?;
    let users = users.json().ok_or("no users")?;
    let id = users[0]["id"].as_str().ok_or("no user")?;
    setting.keycloak.administer("PUT", &format!("/users/{id}"), &json!({ "enabled": false }))?;
    // Nobody is asked about a token that was signed: until its end it is good.
    if begun.elapsed() < SHORT / 2 {
        setting.is_taken(&token)?;
    }
    let refresh = grant["refresh_token"].as_str().ok_or("no refresh token")?;
    let again = [("grant_type", "refresh_token"), ("client_id", "short-lived"), ("refresh_token", refresh)];
    if setting.keycloak.granted(&again).is_ok() || setting.keycloak.token("short-lived", "heidi").is_ok() {
        return Err("a disabled user got another token".into());
    }
    thread::sleep((SHORT + SKEW + Duration::from_secs(1)).saturating_sub(begun.elapsed()));
    setting.is_refused(&token, 401)
}

fn algorithms(setting: &mut Setting) -> Result<(), String> {
    let clients = setting.keycloak.administer("GET", "/clients?clientId=signing", &Value::Null)?;
    let client = clients.json().ok_or("no clients")?[0].clone();
    let id = client["id"].as_str().ok_or("no client")?.to_owned();
    for algorithm in ["ES256", "PS256", "EdDSA"] {
        setting.keycloak.rotate(algorithm, 150)?;
        let mut changed = client.clone();
        changed["attributes"]["access.token.signed.response.alg"] = algorithm.into();
        setting.keycloak.administer("PUT", &format!("/clients/{id}"), &changed)?;
        let token = setting.keycloak.token("signing", "alice")?;
        if part(&token, 0)?["alg"] != algorithm {
            return Err(format!("the control fails: {}", part(&token, 0)?));
        }
        setting.is_taken(&token).map_err(|why| format!("{algorithm}: {why}"))?;
    }
    Ok(())
}

/// Two rotations, the second right after the first: every request with a valid token is answered, whichever key
/// signed it.
fn rotation(setting: &mut Setting) -> Result<(), String> {
    let setting = &*setting;
    let old = setting.alice()?;
    let done = AtomicBool::new(false);
    let asking = |token: &(dyn Fn() -> Result<String, String> + Sync)| {
        let mut asked = 0;
        while !done.load(Ordering::SeqCst) {
            let token = token()?;
            setting.is_taken(&token).map_err(|why| format!("after {asked} requests: {why}"))?;
            asked += 1;
        }
        Ok::<usize, String>(asked)
    };
    let (asked, rotated) = thread::scope(|scope| {
        let known = scope.spawn(|| asking(&|| Ok(old.clone())));
        let fresh = scope.spawn(|| asking(&|| setting.alice()));
        let rotate = || {
            setting.keycloak.rotate("RS256", 200)?;
            thread::sleep(Duration::from_secs(2));
            setting.keycloak.rotate("RS256", 201)?;
            thread::sleep(Duration::from_secs(6));
            Ok::<(), String>(())
        };
        let rotated = rotate();
        done.store(true, Ordering::SeqCst);
        let join = |thread: thread::ScopedJoinHandle<'_, Result<usize, String>>| {
            thread.join().map_err(|_| "a thread panicked".to_owned())?
        };
        (join(known).and_then(|known| Ok((known, join(fresh)?))), rotated)
    });
    rotated?;
    let (known, fresh) = asked?;
    if known < 2 || fresh < 2 {
        return Err(format!("only {known} and {fresh} requests"));
    }
    let (before, after) = (part(&old, 0)?["kid"].clone(), part(&setting.alice()?, 0)?["kid"].clone());
    if before == after {
        return Err("the control fails: the key is the old one".into());
    }
    Ok(())
}

/// Sends tokens that name made-up keys, some at once, for so long; how many.
fn forge(setting: &Setting, like: &str, status: &[u16], lasting: Duration) -> Result<usize, String> {
    let claims = like.split('.').nth(1).ok_or("not a token")?;
    let begun = Instant::now();
    let storm = |thread: usize| {
        let mut sent = 0;
        while begun.elapsed() < lasting {
            let header = json!({ "alg": "RS256", "typ": "JWT", "kid": format!("made-up-{thread}-{sent}") });
            let forged = format!("{}.{claims}.{}", B64.encode(header.to_string()), B64.encode([7; 256]));
            let answer = setting.ask(&forged)?;
            if !status.contains(&answer.status) {
                return Err(format!("{} {}", answer.status, answer.text()));
            }
            sent += 1;
        }
        Ok(sent)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|thread| scope.spawn(move || storm(thread))).collect();
        let join = |t: thread::ScopedJoinHandle<'_, Result<usize, String>>| {
            t.join().map_err(|_| "a thread panicked".to_owned())?
        };
        threads.into_iter().map(join).sum()
    })
}

/// How many fetches may begin in this time: one in each interval, and those at both ends.
fn most(elapsed: Duration) -> usize {
    usize::try_from(elapsed.as_secs() / INTERVAL.as_secs() + 2).unwrap_or(usize::MAX)
}

fn storm(setting: &mut Setting) -> Result<(), String> {
    let alice = setting.alice()?;
    let (before, begun) = (setting.issuer.asked(), Instant::now());
    let sent = forge(setting, &alice, &[401, 503], Duration::from_secs(12))?;
    let (asked, most) = (setting.issuer.asked() - before, most(begun.elapsed()));
    if asked == 0 || asked > most {
        return Err(format!("{asked} fetches for {sent} tokens, {most} allowed"));
    }
    setting.is_taken(&alice)
}

fn outage(setting: &mut Setting) -> Result<(), String> {
    if !setting.keycloak.is_own() {
        return Err("Keycloak is another run's and goes on".into());
    }
    let known = setting.alice()?;
    setting.is_taken(&known)?;
    // Minted before it, and not shown so far.
    let unseen: Vec<String> = (0..3).map(|_| setting.alice()).collect::<Result<_, _>>()?;
    setting.keycloak.kill();
    let (before, begun) = (setting.issuer.asked(), Instant::now());
    // The first one makes Palisade find out; with a kid that it cannot look up, it says so.
    let sent = forge(setting, &known, &[401, 503], Duration::from_secs(60))?;
    let (asked, elapsed) = (setting.issuer.asked() - before, begun.elapsed());
    // After a failure it also tries again by itself, in pauses that double from a second on.
    let own = 6;
    if asked > most(elapsed) + own {
        return Err(format!("{asked} fetches in {elapsed:?} for {sent} tokens"));
    }
    setting.is_taken(&known)?;
    unseen.iter().try_for_each(|token| setting.is_taken(token))?;
    let ready = Request::get("/readyz", &[]).send(&setting.palisade.admin)?;
    let page = Request::get("/metrics", &[]).send(&setting.palisade.admin)?.text();
    let failed = format!(
        "palisade_issuer_fetches_total{{issuer=\"{}\",outcome=\"failed\"}} ",
        setting.keycloak.realm.url()
    );
    let failed = page.lines().find_map(|line| line.strip_prefix(&failed));
    match (ready.status, failed) {
        (200, Some(count)) if count != "0" => Ok(()),
        told => Err(format!("told {told:?}")),
    }
}

/// It begins anew with a database of its own, and so with keys that nobody knows.
fn recovery(setting: &mut Setting) -> Result<(), String> {
    if !setting.keycloak.is_own() {
        return Err("Keycloak is another run's and goes on".into());
    }
    setting.keycloak.restart()?;
    let (token, begun) = (setting.alice()?, Instant::now());
    // The pause after failures has grown to 30 s at most.
    loop {
        match setting.is_taken(&token) {
            Ok(()) => return Ok(()),
            Err(why) if begun.elapsed() > Duration::from_secs(40) => return Err(why),
            Err(_) => thread::sleep(Duration::from_millis(500)),
        }
    }
}
