//! A real Chromium without a window, driven over the DevTools protocol: a command is a JSON object that ends with a NUL
//! byte, and so are its answers and the events (`--remote-debugging-pipe`).

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::{eventually, spawn};

/// The protocol goes over descriptors 3 and 4. As root there is no sandbox; what it opens is a file of ours.
const START: &str = "exec chromium --headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars \
    --disable-background-networking --disable-component-update --force-color-profile=srgb --disable-dev-shm-usage \
    --remote-debugging-pipe --user-data-dir=\"$0\" 3<&0 4>&1 </dev/null >/dev/null 2>\"$0.log\"";

/// A browser with one page. It ends when this is dropped.
pub struct Chromium {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    folder: tempfile::TempDir,
    session: String,
    sent: u64,
    events: Vec<Value>,
}

impl Chromium {
    /// Starts one.
    pub fn start() -> Chromium {
        assert!(
            Path::new("/usr/bin/chromium").exists(),
            "chromium is missing: run scripts/setup test, which installs Debian's"
        );
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", START]).arg(folder.path().join("profile"));
        // What it keeps for its user is gone with the folder.
        command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(&mut command);
        let commands = child.stdin.take().unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = channel();
        // It ends with the browser, or when nobody wants a message any more.
        std::thread::spawn(move || {
            let mut messages =
                told.split(0).map(|message| serde_json::from_slice(&message.unwrap()).unwrap());
            messages.try_for_each(|message| sender.send(message))
        });
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Chromium { child, commands, answers, folder, session, sent: 0, events };
        let target = browser.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.ask("Target.attachToTarget", &attach);
        session["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Sends a command, and waits for its answer.
    pub fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let message = self.next();
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn next(&mut self) -> Value {
        self.answers.recv_timeout(Duration::from_mins(1)).unwrap_or_else(|why| {
            let log = fs::read_to_string(self.folder.path().join("profile.log")).unwrap_or_default();
            panic!("chromium says nothing: {why}: {log}")
        })
    }

    /// Opens a file, and waits until it is loaded.
    pub fn open(&mut self, path: &Path) {
        self.events.clear();
        let loading = self.ask("Page.navigate", &json!({"url": format!("file://{}", path.display())}));
        assert!(loading["errorText"].is_null(), "{loading}");
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next();
            self.events.push(event);
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.ask("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression in the page has this value.
    pub fn until(&mut self, expression: &str, wanted: &Value) {
        let mut last = Value::Null;
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(|| {
                last = self.value(expression);
                (last == *wanted).then_some(())
            });
        }));
        assert!(found.is_ok(), "{expression} is {last}, and not {wanted}");
    }

    /// Clicks in the middle of the first line of the first element that a selector finds, as a mouse does.
    pub fn click(&mut self, selector: &str) {
        let place = self.value(&format!(
            "(() => {{ const found = document.querySelector({}); found.scrollIntoView({{block: 'center'}}); \
             const box = found.getClientRects()[0]; \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.ask("Input.dispatchMouseEvent", &event);
        }
    }

    /// Types text into what has the focus.
    pub fn type_in(&mut self, text: &str) {
        self.ask("Input.insertText", &json!({"text": text}));
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            self.ask("Input.dispatchKeyEvent", &json!({"type": kind, "key": key, "code": key, "text": text}));
        }
    }

    /// What the page's script, or the browser about the page, complained of since it was opened.
    pub fn complaints(&mut self) -> Vec<Value> {
        self.settle();
        let kinds = ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"];
        let is_complaint = |event: &&Value| kinds.iter().any(|kind| event["method"] == *kind);
        self.events.iter().filter(is_complaint).cloned().collect()
    }

    /// What was asked for over the network, or from a disk, since the page was opened.
    pub fn requests(&mut self) -> Vec<String> {
        self.settle();
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until what is done has been drawn, and has told its events.
    pub fn settle(&mut self) {
        let pixel = json!({"x": 0, "y": 0, "width": 1, "height": 1, "scale": 1});
        self.ask("Page.captureScreenshot", &json!({"clip": pixel}));
    }

    /// Gives the page a window of this size, and a person's wishes: `light` or `dark`, `screen` or `print`.
    pub fn window(&mut self, width: u32, height: u32, scheme: &str, medium: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", &json!({"media": medium, "features": scheme}));
        self.settle();
    }

    /// Takes a picture of the page at the window's width, from one height to another.
    pub fn picture(&mut self, name: &str, from: u64, to: u64) -> PathBuf {
        let width = self.value("document.documentElement.clientWidth");
        let page = self.value("document.documentElement.scrollHeight").as_u64().unwrap();
        let height = to.min(page).saturating_sub(from).max(1);
        let clip = json!({"x": 0, "y": from, "width": width, "height": height, "scale": 1});
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.ask("Page.captureScreenshot", &asked);
        let picture = base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap());
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, picture.unwrap()).unwrap();
        path
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its other processes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
