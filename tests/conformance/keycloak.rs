//! Keycloak with the project's realm.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Base, Request};
use crate::processes::{Server, free_ports};

const REALM: &str = include_str!("keycloak/bookstore-platform.json");
const PATH: &str = "/realms/bookstore-platform";

/// A running Keycloak.
pub struct Keycloak {
    /// Where the realm starts.
    pub realm: Base,
    master: Base,
    server: Option<Server>,
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
        let env = [
            ("JAVA_OPTS_APPEND", "-Xmx640m".to_owned()),
            ("KC_BOOTSTRAP_ADMIN_USERNAME", "admin".into()),
            ("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin-password".into()),
        ];
        let program = dir.join("home/bin/kc.sh");
        let server = Server::start("keycloak", dir, &program, &args, &env)?;
        Ok(Self { server: Some(server), ..Self::elsewhere(Base::local(http).under(PATH)) })
    }

    /// Waits until the realm's discovery document is there.
    pub fn wait(&self) -> Result<(), String> {
        let path = "/.well-known/openid-configuration";
        match &self.server {
            Some(server) => server.ready(&self.realm, path, Duration::from_secs(600)),
            None => Ok(()),
        }
    }

    /// The realm's whole answer to a password grant.
    pub fn grant(&self, client: &str, user: &str) -> Result<Value, String> {
        grant(&self.realm, client, user)
    }

    /// A token of the realm `master`, for the administrator made at the start.
    pub fn admin_token(&self) -> Result<String, String> {
        let grant = grant(&self.master, "admin-cli", "admin")?;
        let token = grant["access_token"].as_str();
        token.map(str::to_owned).ok_or_else(|| "no access token".into())
    }

    /// A user's access token for `client`.
    pub fn token(&self, client: &str, user: &str) -> Result<String, String> {
        let grant = self.grant(client, user)?;
        let token = grant["access_token"].as_str();
        token.map(str::to_owned).ok_or_else(|| format!("no access token for {user}"))
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

fn grant(realm: &Base, client: &str, user: &str) -> Result<Value, String> {
    let params = [
        ("grant_type", "password"),
        ("client_id", client),
        ("username", user),
        ("password", &format!("{user}-password")),
        ("scope", "openid"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()));
    let answer = Request::form("/protocol/openid-connect/token", &params).send(realm)?;
    match answer.json() {
        Some(value) if answer.status == 200 => Ok(value),
        _ => Err(format!("no token for {user}: {} {}", answer.status, answer.text())),
    }
}
