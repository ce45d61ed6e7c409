//! Keycloak with the project's realm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, Base, Request};
use crate::processes::{Server, free_ports};

const REALM: &str = include_str!("keycloak/bookstore-platform.json");
const PATH: &str = "/realms/bookstore-platform";

/// A running Keycloak.
pub struct Keycloak {
    /// Where the realm starts.
    pub realm: Base,
    master: Base,
    server: Option<(Server, Start)>,
}

/// How it is started.
struct Start {
    dir: PathBuf,
    args: Vec<String>,
}

impl Start {
    fn run(&self) -> Result<Server, String> {
        let env = [
            ("JAVA_OPTS_APPEND", "-Xmx640m".to_owned()),
            ("KC_BOOTSTRAP_ADMIN_USERNAME", "admin".into()),
            ("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin-password".into()),
        ];
        Server::start("keycloak", &self.dir, &self.dir.join("home/bin/kc.sh"), &self.args, &env)
    }
}

impl Keycloak {
    /// One that another run has started.
    pub fn elsewhere(realm: Base) -> Self {
        let master = Base { prefix: "/realms/master".into(), ..realm.clone() };
        Self { realm, master, server: None }
    }

    /// Starts a copy of the installation at `home`, its database in memory.
    pub fn start(home: &Path, dir: &Path) -> Result<Self, String> {
        let told = |e: std::io::Error| format!("keycloak: {e}");
        std::fs::create_dir_all(dir).map_err(told)?;
        let copied = Command::new("cp").arg("-r").arg(home).arg(dir.join("home")).status().map_err(told)?;
        if !copied.success() {
            return Err("keycloak: its home cannot be copied".into());
        }
        let import = dir.join("home/data/import");
        std::fs::create_dir_all(&import).map_err(told)?;
        std::fs::write(import.join("bookstore-platform.json"), REALM).map_err(told)?;
        let [http, management] = free_ports()?;
        let args = [
            // `install.sh` has built it for this: an in-memory database, one node.
            "start",
            "--optimized",
            "--http-enabled=true",
            "--cache=local",
            "--hostname-strict=false",
            "--http-host=127.0.0.1",
            &format!("--http-port={http}"),
            &format!("--http-management-port={management}"),
            "--import-realm",
        ]
        .map(str::to_owned);
        let start = Start { dir: dir.into(), args: args.into() };
        Ok(Self { server: Some((start.run()?, start)), ..Self::elsewhere(Base::local(http).under(PATH)) })
    }

    /// Whether this run has started it, and so may end it.
    pub fn is_own(&self) -> bool {
        self.server.is_some()
    }

    /// Ends it. Its database goes with it.
    pub fn kill(&mut self) {
        if let Some((server, _)) = &mut self.server {
            server.kill();
        }
    }

    /// Starts it again at the same place, with the realm as it was at first and new keys.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill();
        if let Some((server, start)) = &mut self.server {
            *server = start.run()?;
        }
        self.wait()
    }

    /// Waits until the realm's discovery document is there.
    pub fn wait(&self) -> Result<(), String> {
        let path = "/.well-known/openid-configuration";
        match &self.server {
            Some((server, _)) => server.ready(&self.realm, path, Duration::from_secs(600)),
            None => Ok(()),
        }
    }

    /// The realm's whole answer to a password grant.
    pub fn grant(&self, client: &str, user: &str) -> Result<Value, String> {
        grant(&self.realm, &password(client, user))
    }

    /// The realm's whole answer to any grant.
    pub fn granted(&self, params: &[(&str, &str)]) -> Result<Value, String> {
        grant(&self.realm, params)
    }

    /// A token of the realm `master`, for the administrator made at the start.
    pub fn admin_token(&self) -> Result<String, String> {
        access_token(&grant(&self.master, &password("admin-cli", "admin"))?)
    }

    /// A call of the realm's admin API.
    pub fn administer(&self, method: &str, path: &str, body: &Value) -> Result<Answer, String> {
        let realm = Base { prefix: format!("/admin{PATH}"), ..self.realm.clone() };
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request { method: method.into(), target: path.into(), body, ..Request::default() };
        let request = request.header("Content-Type", "application/json").header("Accept", "application/json");
        let answer = request.bearer(Some(&self.admin_token()?)).send(&realm)?;
        match answer.status {
            200..300 => Ok(answer),
            status => Err(format!("{method} {path}: {status} {}", answer.text())),
        }
    }

    /// Signs with a new key of this algorithm from now on; older keys stay published.
    pub fn rotate(&self, algorithm: &str, priority: u32) -> Result<(), String> {
        let (provider, kind) = match algorithm {
            "EdDSA" => ("eddsa-generated", json!({ "eddsaEllipticCurveKey": ["Ed25519"] })),
            "ES256" => ("ecdsa-generated", json!({ "ecdsaEllipticCurveKey": ["P-256"] })),
            rsa => ("rsa-generated", json!({ "algorithm": [rsa], "keySize": ["2048"] })),
        };
        let mut config =
            json!({ "priority": [priority.to_string()], "enabled": ["true"], "active": ["true"] });
        if let (Some(all), Some(more)) = (config.as_object_mut(), kind.as_object()) {
            all.extend(more.clone());
        }
        let key = json!({
            "name": format!("{algorithm}-{priority}"),
            "providerId": provider,
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": config,
        });
        self.administer("POST", "/components", &key).map(drop)
    }

    /// A user's access token for `client`.
    pub fn token(&self, client: &str, user: &str) -> Result<String, String> {
        access_token(&self.grant(client, user)?)
    }

    /// A user's change to the own account, by the account API, as its status.
    pub fn change_account(
        &self,
        token: &str,
        user: &str,
        last_name: &str,
        tenant: &str,
    ) -> Result<u16, String> {
        let body = json!({
            "username": user,
            "email": format!("{user}@bookstore.example"),
            "firstName": user,
            "lastName": last_name,
            "attributes": { "tenant": [tenant] },
        });
        let request = Request {
            method: "POST".into(),
            target: "/account/".into(),
            body: body.to_string().into_bytes(),
            ..Request::default()
        };
        let answer = request
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .bearer(Some(token))
            .send(&self.realm)?;
        Ok(answer.status)
    }
}

/// The access token of an answer to a grant.
pub fn access_token(grant: &Value) -> Result<String, String> {
    let token = grant["access_token"].as_str();
    token.map(str::to_owned).ok_or_else(|| format!("no access token in {grant}"))
}

fn password(client: &str, user: &str) -> [(&'static str, String); 5] {
    [
        ("grant_type", "password".into()),
        ("client_id", client.into()),
        ("username", user.into()),
        ("password", format!("{user}-password")),
        ("scope", "openid".into()),
    ]
}

fn grant<V: AsRef<str>>(realm: &Base, params: &[(&str, V)]) -> Result<Value, String> {
    let params: Vec<_> = params.iter().map(|(k, v)| ((*k).to_owned(), v.as_ref().to_owned())).collect();
    let answer = Request::form("/protocol/openid-connect/token", &params).send(realm)?;
    match answer.json() {
        Some(value) if answer.status == 200 => Ok(value),
        _ => Err(format!("no token: {} {}", answer.status, answer.text())),
    }
}
