//! Headless Chromium, driven through WebDriver.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with an empty profile, which ends when it is dropped.
pub struct Browser {
    /// What drives it.
    pub client: Client,
    driver: Child,
    _profile: TempDir,
}

/// The colours that a visitor prefers, as Chromium numbers them.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Light on dark.
    Dark = 0,
    /// Dark on light.
    Light = 1,
}

impl Browser {
    /// Starts the browser. Returns `None` if it is not installed, and fails in CI.
    pub async fn start() -> Option<Self> {
        Self::with(json!({}), &[]).await
    }

    /// Starts the browser with a screen of a phone that is `width` points wide.
    pub async fn phone(width: u32) -> Option<Self> {
        Self::of_width(width, Mode::Light).await
    }

    /// The same for somebody who prefers one mode.
    pub async fn of_width(width: u32, mode: Mode) -> Option<Self> {
        let metrics = json!({ "width": width, "height": 844, "pixelRatio": 1 });
        let scheme = format!("--blink-settings=preferredColorScheme={}", mode as u8);
        Self::with(json!({ "mobileEmulation": { "deviceMetrics": metrics } }), &[&scheme]).await
    }

    async fn with(mut options: Value, further: &[&str]) -> Option<Self> {
        let driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = match driver {
            Ok(driver) => driver,
            Err(error) => {
                let what = format!("chromedriver cannot be run ({error}): tests/setup.sh installs it");
                assert_ne!(env::var("CI").as_deref(), Ok("true"), "{what}");
                eprintln!("\n*** SKIPPED, nothing was tested in a browser: {what} ***\n");
                return None;
            }
        };
        let stdout = BufReader::new(driver.stdout.take().expect("stdout is piped"));
        let mut lines = stdout.lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| line.split_once("successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok());
        let port = port.expect("chromedriver tells its port");
        // It prints more, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));

        let profile = TempDir::with_prefix("lemon-session-browser-").expect("there is room for a profile");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            // A site that is not this machine's own, for which browsers make exceptions.
            "--host-resolver-rules=MAP site.test 127.0.0.1",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        options["args"] = json!([&arguments[..], further].concat());
        // The servers of the tests have self-signed certificates.
        let capabilities = json!({ "goog:chromeOptions": options, "acceptInsecureCerts": true });
        let capabilities = capabilities.as_object().expect("an object").clone();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        match client {
            Ok(client) => Some(Self { client, driver, _profile: profile }),
            Err(error) => {
                let _ = driver.kill();
                let _ = driver.wait();
                panic!("chromium does not start: {error}");
            }
        }
    }

    /// Waits until the text of the page begins with `begin` and has `part` in it: after a click, the last page may still
    /// be there.
    pub async fn assert_shows(&self, begin: &str, part: &str) {
        let is_it = |text: &Value| text.as_str().is_some_and(|text| text.starts_with(begin) && text.contains(part));
        let started = Instant::now();
        loop {
            let text = self.client.execute("return document.body ? document.body.innerText : ''", vec![]).await;
            if text.as_ref().is_ok_and(is_it) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "no {begin:?} and {part:?} in {text:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Closes it.
    pub async fn close(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
