//! A browser without a window, driven over pipes by the Chrome DevTools Protocol: each message is JSON with a
//! zero byte after it, commands go to the browser's file descriptor 3, answers and events come from its 4.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a browser needs to be quiet, and to run where tests run.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
];

/// A running browser with one page. It ends with its value.
pub struct Browser {
    process: Child,
    commands: File,
    messages: BufReader<File>,
    session: String,
    number: u64,
    /// Events that were told while an answer was waited for.
    events: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the browser is, if it is installed.
pub fn installed() -> Option<PathBuf> {
    let named = std::env::var_os("PALISADE_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)));
    named.into_iter().chain(in_path).find(|file| file.is_file())
}

impl Browser {
    /// Starts `binary` with a profile of its own.
    pub fn start(binary: &PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pipes = ["in", "out"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
        let mut shell = Command::new("sh");
        // Each end waits for the other: the shell opens the pipes in the same order as we do.
        shell
            .args(["-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec \"$@\"", "sh"])
            .args(&pipes)
            .arg(binary)
            .args(FLAGS);
        shell.arg(format!("--user-data-dir={}", folder.path().join("profile").display())).arg("about:blank");
        shell.env("HOME", folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        let process = shell.spawn().unwrap();
        let commands = File::options().write(true).open(&pipes[0]).unwrap();
        let messages = BufReader::new(File::open(&pipes[1]).unwrap());
        let mut browser = Self {
            process,
            commands,
            messages,
            session: String::new(),
            number: 0,
            events: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command, and waits for its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut command = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut message = Vec::new();
            self.messages.read_until(0, &mut message).unwrap();
            let message: Value =
                serde_json::from_slice(message.strip_suffix(b"\0").expect("the browser ended")).unwrap();
            if message["id"] == json!(self.number) {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            if message.get("method").is_some() {
                self.events.push(message);
            }
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let told = self.call("Runtime.evaluate", asked);
        assert!(told.get("exceptionDetails").is_none(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// Waits until an expression in the page is true.
    pub fn until(&mut self, expression: &str) {
        let started = Instant::now();
        while self.value(expression) != json!(true) {
            assert!(started.elapsed() < Duration::from_secs(30), "never {expression}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Opens `url`, and waits for it.
    pub fn open(&mut self, url: &str) {
        let told = self.call("Page.navigate", json!({ "url": url }));
        assert!(told.get("errorText").is_none(), "{told}");
        self.until(&format!("document.readyState === 'complete' && location.href === {}", json!(url)));
    }

    /// A screen of this size, light or dark, with or without a phone's touch.
    pub fn screen(&mut self, width: u32, height: u32, dark: bool) {
        let phone = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 2, "mobile": phone });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [scheme] }));
    }

    /// Types text where the focus is.
    pub fn insert(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, code: u32, text: Option<&str>) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// The whole page as PNG, in base64.
    pub fn picture(&mut self) -> String {
        let told = self.call("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        told["data"].as_str().unwrap().to_owned()
    }

    /// The events of that name since the start.
    pub fn events(&self, method: &str) -> Vec<Value> {
        self.events
            .iter()
            .filter(|event| event["method"] == method)
            .map(|event| event["params"].clone())
            .collect()
    }
}
