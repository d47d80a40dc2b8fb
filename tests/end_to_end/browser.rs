//! The page in examples/chat, in a real browser.

mod driver;
mod scripted;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use end_to_end::{Client, harness::Sequence};
use fantoccini::key::Key;
use libtest_mimic::Trial;
use local_cloud::{page, repository};
use serde_json::json;
use testkit::{
    fixtures::now_millis,
    tokens::{Signer, jwks},
};
use tokio::sync::OnceCell;

use self::driver::{Browser, DESKTOP, DRIVER, LOG, Look, Page};
use crate::cloud::Cloud;

type Shared = Arc<OnceCell<Site>>;

pub(crate) fn trials() -> Vec<Trial> {
    let site: Shared = Arc::default();
    let sequence = Sequence::default();
    macro_rules! on {
        ($site:ident, $($test:ident),* $(,)?) => {
            vec![$({
                let site = Arc::clone(&$site);
                sequence.trial(concat!("browser::", stringify!($test)), move || async move {
                    let site = site.get_or_try_init(|| Site::start("terraform")).await?;
                    Browser::run(async |browser| $test(site, browser).await).await
                })
            }),*]
        };
    }
    let mut trials = on!(
        site,
        two_pages_chat,
        what_one_says_is_shown_once_though_it_comes_after_its_ack,
        a_channel_is_joined_and_left,
        what_the_server_refuses_is_said_in_peoples_words,
        a_reload_brings_back_what_was_said,
        the_server_restarts_and_the_pages_come_back,
        everything_is_accessible_on_desktop_and_phone_in_light_and_dark,
    );
    trials.extend(scripted::trials(&sequence));
    trials.push(
        sequence.trial("browser::a_bad_token_is_refused_and_said_so", a_bad_token_is_refused_and_said_so),
    );
    let is_missing = std::process::Command::new(DRIVER).arg("--version").output().is_err();
    let is_ignored = is_missing && std::env::var_os("REQUIRE_BROWSER").is_none();
    if is_ignored {
        eprintln!(
            "SKIPPED: {} tests in a browser, as there is no {DRIVER}. On Debian: apt install chromium chromium-driver",
            trials.len(),
        );
    }
    trials.into_iter().map(|trial| trial.with_ignored_flag(is_ignored)).collect()
}

// --- what it takes -------------------------------------------------------------------------------------

/// A backend, and the page for it.
struct Site {
    cloud: Cloud,
    /// The page's address.
    url: String,
}

impl Site {
    async fn start(stack: &str) -> Result<Self> {
        let name = stack.rsplit('/').next().unwrap_or(stack);
        Self::of(Cloud::start(&format!("browser-{name}"), stack).await?).await
    }

    async fn of(cloud: Cloud) -> Result<Self> {
        cloud.stack.apply(|_, _| ()).await?;
        let port = page::serve(&repository(), 0).await?;
        let url = format!("http://127.0.0.1:{port}/?url={}", cloud.output("websocket_url").await?);
        Ok(Self { cloud, url })
    }
}

// --- tests ---------------------------------------------------------------------------------------------

/// Two pages, of Ada and of Bob, that are connected.
async fn ada_and_bob(site: &Site, browser: &Browser) -> Result<[Page; 2]> {
    let pages = [browser.open(&site.url).await?, browser.open(&site.url).await?];
    for (page, name) in pages.iter().zip(["Ada", "Bob"]) {
        page.is_connected().await?;
        page.is_called(name).await?;
    }
    Ok(pages)
}

async fn two_pages_chat(site: &Site, browser: &Browser) -> Result<()> {
    let [ada, bob] = ada_and_bob(site, browser).await?;
    ada.says("Hello <b>Bob</b>").await?;
    for page in [&ada, &bob] {
        page.sees(LOG, "Ada\nHello <b>Bob</b>").await?;
    }
    let times = bob
        .run("return [...document.querySelectorAll('.log time')].map((time) => time.dateTime)", &[])
        .await?;
    ensure!(times[0].as_str().is_some_and(|time| time.starts_with("20")), "{times}");
    bob.says("Hello Ada").await?;
    ada.sees(LOG, "Bob\nHello Ada").await?;
    ada.sees("#people", "Ada (you)").await?;
    ada.sees("#people", "Bob").await?;
    ensure!(ada.text(".pending").await?.is_empty() && ada.lines_with("Hello <b>Bob</b>").await? == 1);

    // Who writes several lines is named once, and a line may have several.
    ada.types("#text", "one").await?;
    ada.types("#text", &(Key::Shift + "\u{e007}\u{e000}two")).await?;
    ada.types("#text", "\n").await?;
    bob.sees(LOG, "one\ntwo").await?;
    Ok(())
}

async fn what_one_says_is_shown_once_though_it_comes_after_its_ack(
    site: &Site,
    browser: &Browser,
) -> Result<()> {
    let page = browser.open(&site.url).await?;
    page.is_connected().await?;
    page.run(CONNECT_WITH_LATE_MESSAGES, &[]).await?;
    page.is_connected().await?;
    page.is_called("Dora").await?;
    page.says("Only once").await?;
    // A connection has its name when something is heard from it.
    page.sees("#people", "Dora").await?;
    ensure!(page.lines_with("Only once").await? == 1, "{}", page.text(LOG).await?);
    page.sees("#people", "Dora (you)").await?;
    Ok(())
}

/// Has the page connect anew, and hear messages a second later than all else.
const CONNECT_WITH_LATE_MESSAGES: &str = "
    const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
    Object.defineProperty(WebSocket.prototype, 'onmessage', {
        set(listener) {
            const delay = ({ data }) => (JSON.parse(data).type === 'message' ? 1_000 : 0);
            set.call(this, listener && ((event) => setTimeout(listener, delay(event), event)));
        },
    });
    document.querySelector('#door form').requestSubmit();";

async fn a_channel_is_joined_and_left(site: &Site, browser: &Browser) -> Result<()> {
    let [ada, bob] = ada_and_bob(site, browser).await?;
    ada.types("#channel", "lobby\n").await?;
    ada.sees("#channels [aria-current]", "lobby").await?;
    ada.says("Is anybody here?").await?;
    ada.sees(LOG, "Is anybody here?").await?;

    bob.types("#channel", "lobby\n").await?;
    bob.sees("#channels [aria-current]", "lobby").await?;
    bob.says("I am").await?;
    ada.sees(LOG, "Bob\nI am").await?;
    ada.sees("#people-title", "Who is in lobby").await?;
    ada.sees("#people", "Bob").await?;
    ensure!(bob.lines_with("Is anybody here?").await? == 0, "it was said before he came");

    // Who looks at another channel sees that something was said, and gets there by keyboard.
    ada.types("#text", &(Key::Alt + &Key::Up.to_string())).await?;
    ada.sees("#channels [aria-current]", "Everyone").await?;
    ensure!(!ada.text(LOG).await?.contains("I am"), "it was said in the lobby");
    bob.says("Where are you?").await?;
    ada.sees("#channels .unread", "1").await?;
    ada.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    ada.sees(LOG, "Where are you?").await?;
    ensure!(ada.text("#channels .unread:not([hidden])").await?.is_empty());

    ada.clicks("[aria-label='Leave lobby']").await?;
    ada.sees("#channels", "Everyone").await?;
    bob.says("Gone?").await?;
    bob.sees(LOG, "Gone?").await?;
    ada.says("I left").await?;
    ada.sees(LOG, "I left").await?;
    ensure!(!ada.text("body").await?.contains("lobby"), "she left");
    Ok(())
}

async fn what_the_server_refuses_is_said_in_peoples_words(site: &Site, browser: &Browser) -> Result<()> {
    let page = browser.open(&site.url).await?;
    page.is_connected().await?;
    page.types("#channel", "no blanks, please\n").await?;
    page.sees("#join-error", "A channel's name has letters, digits").await?;
    // What the server would end the connection for is refused while it can still be changed.
    page.run("document.getElementById('text').value = 'x'.repeat(32768)", &[]).await?;
    page.types("#text", "\n").await?;
    page.sees("#problem", "The message is too long. Shorten it by about").await?;
    page.is_good(DESKTOP, "-too-long").await?;
    ensure!(page.run("return document.getElementById('text').value.length", &[]).await? == 32768);
    ensure!(page.text(LOG).await?.is_empty() || !page.text(LOG).await?.contains("xxx"), "it is not said");
    page.is_connected().await?;
    Ok(())
}

async fn a_reload_brings_back_what_was_said(site: &Site, browser: &Browser) -> Result<()> {
    let [ada, bob] = ada_and_bob(site, browser).await?;
    ada.types("#channel", "kitchen\n").await?;
    ada.sees("#channels [aria-current]", "kitchen").await?;
    ada.says("Coffee is ready").await?;
    ada.sees(LOG, "Coffee is ready").await?;
    bob.says("Has somebody seen Ada?").await?;
    ada.sees("#channels .unread", "1").await?;

    ada.0.refresh().await?;
    ada.is_connected().await?;
    ada.sees("#channels", "kitchen").await?;
    ada.sees(LOG, "Bob\nHas somebody seen Ada?").await?;
    ada.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    ada.sees(LOG, "Coffee is ready").await?;
    ensure!(ada.lines_with("Coffee is ready").await? == 1);
    ensure!(!ada.text(LOG).await?.contains("missing"), "all of it is there");
    Ok(())
}

async fn the_server_restarts_and_the_pages_come_back(site: &Site, browser: &Browser) -> Result<()> {
    let [ada, bob] = ada_and_bob(site, browser).await?;
    for page in [&ada, &bob] {
        page.types("#channel", "harbour\n").await?;
        page.sees("#channels [aria-current]", "harbour").await?;
    }
    ada.says("Before").await?;
    bob.sees(LOG, "Before").await?;

    site.cloud.go_down().await;
    for page in [&ada, &bob] {
        page.sees("#connection", "next try in").await?;
    }
    ada.says("While it was down").await?;

    ada.sees(".pending", "Will be sent once there is a connection.").await?;
    ada.is_good(DESKTOP, "-waiting").await?;
    site.cloud.come_up().await?;

    for page in [&ada, &bob] {
        page.is_connected().await?;
    }
    ada.sees(".own:not(.pending)", "While it was down").await?;
    bob.says("After").await?;
    for page in [&ada, &bob] {
        page.sees(LOG, "After").await?;
    }
    let all = if HISTORY { &["Before", "While it was down", "After"][..] } else { &["Before", "After"] };
    for text in all {
        bob.sees(LOG, text).await?;
        for page in [&ada, &bob] {
            ensure!(page.lines_with(text).await? == 1, "{text:?}, once: {}", page.text(LOG).await?);
        }
    }
    ensure!(ada.lines_with("While it was down").await? == 1);
    Ok(())
}

async fn a_bad_token_is_refused_and_said_so() -> Result<()> {
    let signer = Signer::eddsa("1");
    let token = |expires_in: i64| {
        let expires = i64::try_from(now_millis() / 1_000).unwrap_or_default() + expires_in;
        signer.token(&json!({"sub": "ada", "iss": "login.example.com", "aud": "chat", "exp": expires}))
    };
    let cloud = Cloud::start("browser-tokens", "tests/stacks/tokens").await?;
    let site = Site::of(cloud.with("jwks", &jwks([&signer]).to_string())).await?;
    Browser::run(async |browser| {
        let page = browser.open(&format!("{}#token={}", site.url, token(-600))).await?;
        page.sees("#state", "Refused").await?;
        page.sees("#door", "The server refused the connection").await?;
        page.is_good(DESKTOP, "-refused").await?;
        ensure!(page.0.current_url().await?.fragment().is_none(), "the address does not give the token away");
        page.run("document.getElementById('token').value = ''", &[]).await?;
        page.types("#token", &format!("{}\n", token(600))).await?;
        page.is_connected().await?;
        ensure!(page.text("#door").await?.is_empty(), "the door is shut");
        page.says("It is me").await?;
        page.sees(LOG, "ada\nIt is me").await.context("the token's name counts")?;
        page.sees("#people", "ada (you)").await?;

        site.cloud.go_down().await;
        page.sees("#state", "Not connected").await?;
        // A server that is not there refuses nobody, however often it is asked: it is by now, as it waits for so long.
        page.sees("#next-try", "next try in 4 s").await?;
        ensure!(page.text("#door").await?.is_empty(), "{}", page.text("#door").await?);
        Ok(())
    })
    .await
}

async fn everything_is_accessible_on_desktop_and_phone_in_light_and_dark(
    site: &Site,
    browser: &Browser,
) -> Result<()> {
    let url = site.cloud.output("websocket_url").await?;
    for look in [
        DESKTOP,
        Look { name: "desktop-dark", is_dark: true, ..DESKTOP },
        Look { name: "phone", is_phone: true, ..DESKTOP },
        Look { name: "phone-dark", is_phone: true, is_dark: true },
    ] {
        let page = browser.open_with(&site.url, look).await?;
        page.is_connected().await?;
        page.is_called("Ada").await?;
        if look.is_phone {
            page.clicks("#show-join").await?;
        }
        page.types("#channel", "release\n").await?;
        page.sees("#channels [aria-current]", "release").await?;
        page.clicks("#channels button").await?;
        let mut bob = Client::connect(&url).await?;
        let mut chloe = Client::connect(&url).await?;
        say(&mut bob, "*", "Bob", "Morning! The new dashboard is live.").await?;
        say(&mut bob, "*", "Bob", "Every tile updates by itself now, without a reload.").await?;
        page.sees(LOG, "without a reload").await?;
        page.says("Just opened it on the train: it lost the network in the tunnel, and was back by itself.")
            .await?;
        page.sees(".own:not(.pending)", "Just opened").await?;
        say(&mut chloe, "*", "Chloé", "Same here. What does it cost us?").await?;
        page.sees(LOG, "What does it cost us?").await?;
        page.says("Four dollars a month, for all of us.").await?;
        say(&mut chloe, "release", "Chloé", "1.4 is tagged").await?;
        page.sees(".own:not(.pending)", "Four dollars").await?;
        page.sees("#channels .unread", "1").await?;
        page.sees("#show-people, #people", if look.is_phone { "People (" } else { "Chloé" }).await?;
        page.is_good(look, "").await?;

        if look.is_phone {
            page.clicks("#show-people").await?;
            page.sees("#people", "Chloé").await?;
            page.is_good(look, "-people").await?;
            page.types("#name", &Key::Escape.to_string()).await?;
            page.clicks("#show-join").await?;
        }
        page.types("#channel", "not a channel\n").await?;
        page.sees("#join-error", "channel").await?;
        page.is_good(look, "-error").await?;
        page.0.goto(site.url.split('?').next().context("an address")?).await?;
        page.sees("#door", "To which server?").await?;
        page.is_good(look, "-door").await?;
        page.closes().await?;
        bob.close().await?;
        chloe.close().await?;
    }
    Ok(())
}

/// Says something as the page does.
async fn say(client: &mut Client, channel: &str, name: &str, text: &str) -> Result<()> {
    let message = json!({"name": name, "text": text});
    client.say(json!({"action": "send", "channel": channel, "message": message}).to_string()).await?;
    client.hear("ack").await?;
    Ok(())
}

/// Whether the chat backend keeps a history.
const HISTORY: bool = true;
