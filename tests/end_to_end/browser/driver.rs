//! A browser, and what a test does in it and sees.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use local_cloud::repository;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    task::JoinHandle,
    time::sleep,
};

/// How long a page may take to show what it must.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program that drives browsers.
pub(super) const DRIVER: &str = "chromedriver";

/// The driver of browsers. Each page has one of its own, with nothing in its profile.
pub(super) struct Browser {
    url: String,
    driver: Child,
    /// Takes what the driver and its browsers complain of until their end.
    complaints: JoinHandle<String>,
}

/// What a browser looks like.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) name: &'static str,
    pub(super) is_phone: bool,
    pub(super) is_dark: bool,
}

/// How wide a phone is.
const PHONE: u64 = 390;

pub(super) const DESKTOP: Look = Look { name: "desktop", is_phone: false, is_dark: false };

impl Browser {
    async fn start() -> Result<Self> {
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stderr = driver.stderr.take().context("the driver has no stderr")?;
        let complaints = tokio::spawn(async move {
            let mut bytes = Vec::new();
            drop(stderr.read_to_end(&mut bytes).await);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut lines = BufReader::new(driver.stdout.take().context("the driver has no output")?).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                let url = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
                // Who writes to a pipe that nobody reads is ended.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Self { url, driver, complaints });
            }
        }
        bail!("{DRIVER} does not start: {}", complaints.await?)
    }

    /// Gives it to a test, and ends every browser after it, however it went.
    pub(super) async fn run(test: impl AsyncFnOnce(&Self) -> Result<()>) -> Result<()> {
        let mut browser = Self::start().await?;
        let result = test(&browser).await;
        let ended = browser.end().await;
        if result.is_err() {
            eprintln!("{DRIVER} and its browsers said:\n{}", browser.complaints.await?);
        }
        result.and(ended)
    }

    async fn end(&mut self) -> Result<()> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.context("the driver ended before the test")?;
        stream.write_all(format!("GET /shutdown HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
        self.driver.wait().await?;
        Ok(())
    }

    /// A page, in a browser on a desktop.
    pub(super) async fn open(&self, url: &str) -> Result<Page> {
        self.open_with(url, DESKTOP).await
    }

    pub(super) async fn open_with(&self, url: &str, look: Look) -> Result<Page> {
        let mut arguments = vec![
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            // In a container, shared memory is most often small.
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--window-size=1200,760",
        ];
        if look.is_dark {
            arguments.push("--force-dark-mode"); // prefers-color-scheme is dark then.
        }
        let mut options = json!({"args": arguments});
        if look.is_phone {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": PHONE, "height": 760, "pixelRatio": 2.0}});
        }
        let capabilities = json!({"goog:chromeOptions": options});
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().context("an object")?.clone())
            .connect(&self.url)
            .await
            .context("no browser starts")?;
        client.goto(url).await.with_context(|| format!("{url} does not open"))?;
        Ok(Page(client))
    }
}

/// A page in a browser of its own, which ends with it.
pub(super) struct Page(pub(super) fantoccini::Client);

impl Page {
    /// Types, as a person does: Enter is `\n`.
    pub(super) async fn types(&self, selector: &str, keys: &str) -> Result<()> {
        Ok(self.0.find(Locator::Css(selector)).await?.send_keys(keys).await?)
    }

    pub(super) async fn clicks(&self, selector: &str) -> Result<()> {
        Ok(self.0.find(Locator::Css(selector)).await?.click().await?)
    }

    pub(super) async fn is_called(&self, name: &str) -> Result<()> {
        self.run("document.getElementById('name').value = arguments[0]", &[json!(name)]).await?;
        Ok(())
    }

    pub(super) async fn says(&self, text: &str) -> Result<()> {
        self.types("#text", &format!("{text}\n")).await
    }

    pub(super) async fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        Ok(self.0.execute(script, arguments.to_vec()).await?)
    }

    /// What is to be seen of all that the selector finds.
    pub(super) async fn text(&self, selector: &str) -> Result<String> {
        let script = "return [...document.querySelectorAll(arguments[0])]
            .filter((found) => found.checkVisibility()).map((found) => found.innerText).join('\\n')";
        Ok(self.run(script, &[json!(selector)]).await?.as_str().context("a text")?.to_owned())
    }

    /// Waits until there is such a text.
    pub(super) async fn sees(&self, selector: &str, text: &str) -> Result<()> {
        let wait = async {
            while !self.text(selector).await?.contains(text) {
                sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(result) => result,
            Err(_) => bail!("{selector} does not show {text:?} but {:?}", self.text(selector).await?),
        }
    }

    pub(super) async fn is_connected(&self) -> Result<()> {
        self.sees("#state", "Connected").await
    }

    /// How many lines of the shown channel have this text.
    pub(super) async fn lines_with(&self, text: &str) -> Result<usize> {
        Ok(self.text(LOG).await?.lines().filter(|line| *line == text).count())
    }

    pub(super) async fn closes(self) -> Result<()> {
        Ok(self.0.close().await?)
    }
}

/// The messages of the channel that is shown.
pub(super) const LOG: &str = ".log:not([hidden])";

impl Page {
    /// Makes sure that axe finds nothing, and that nothing is wider than the screen. With UPDATE_SCREENSHOTS=1, the
    /// READMEs' pictures are taken anew: a page's, in no special state.
    pub(super) async fn is_good(&self, look: Look, state: &str) -> Result<()> {
        let name = format!("{}{state}", look.name);
        let width = self.run("return [document.documentElement.scrollWidth, innerWidth]", &[]).await?;
        ensure!(width[0].as_u64() <= width[1].as_u64(), "{name}: wider than the screen: {width}");
        // A phone zooms out until all of the page is on it.
        ensure!(!look.is_phone || width[1] == PHONE, "{name}: wider than a phone: {width}");
        let axe = repository().join("clients/js/node_modules/axe-core/axe.min.js");
        let axe =
            std::fs::read_to_string(&axe).context("axe-core is not installed: run `make client-tools`")?;
        self.run(&axe, &[]).await?;
        let look_for = "axe.run().then(({ violations }) => arguments[0](violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html + ' ' + node.failureSummary)])))";
        let violations = self.0.execute_async(look_for, Vec::new()).await?;
        ensure!(violations == json!([]), "{name}: {violations:#}");
        if state.is_empty() && std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
            let picture = repository().join(format!("docs/images/chat-{name}.png"));
            std::fs::write(picture, self.0.screenshot().await?)?;
        }
        Ok(())
    }
}
