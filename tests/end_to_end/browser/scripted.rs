//! The page against a server that says what each test wants: what other clients, a backend and faults can do to it.

use anyhow::{Context, Result, ensure};
use end_to_end::harness::Sequence;
use fantoccini::key::Key;
use libtest_mimic::Trial;
use local_cloud::{page, repository};
use serde_json::{Value, json};

use super::driver::{Browser, DESKTOP, LOG, Page};
use crate::dev::get;

/// Plays the server, inside the page.
const SERVER: &str = include_str!("server.js");

pub(super) fn trials(sequence: &Sequence) -> Vec<Trial> {
    macro_rules! all {
        ($($test:ident),* $(,)?) => {
            vec![$(sequence.trial(concat!("browser::scripted::", stringify!($test)), || async { on_a_page($test).await })),*]
        };
    }
    let mut trials = all!(
        a_key_suppresses_no_message_of_a_backend_or_of_another_client,
        a_pending_message_is_confirmed_by_its_ack_alone,
        a_message_whose_answer_was_lost_is_shown_once,
        only_the_server_is_called_server,
        who_takes_the_name_of_another_is_told_apart,
        what_one_said_oneself_is_known_from_the_first_frame,
        addresses_are_links_that_lead_where_they_say,
        each_day_begins_with_its_name,
        what_was_not_read_is_counted_in_the_title,
        what_is_for_a_user_or_a_connection_is_not_shown_in_a_channel,
        errors_are_explained_and_only_what_can_succeed_is_offered_again,
        a_too_long_message_stays_to_be_shortened,
        a_draft_stays_with_its_channel,
        a_draft_is_there_after_a_reload,
        a_reload_asks_for_what_was_said_since_the_channel_was_joined,
        a_server_without_a_history_is_used_after_a_reload_too,
        earlier_messages_are_fetched_where_one_looks_for_them,
        a_script_in_the_page_does_not_run,
    );
    trials.push(
        sequence.trial(
            "browser::scripted::the_page_is_served_with_its_policy",
            the_page_is_served_with_its_policy,
        ),
    );
    trials
}

/// Runs a test on a page that is connected to the played server.
async fn on_a_page<F>(test: impl FnOnce(Page) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let port = page::serve(&repository(), 0).await?;
    Browser::run(async move |browser| {
        let page = browser.open(&format!("http://127.0.0.1:{port}/")).await?;
        page.is_served().await?;
        page.is_called("Ada").await?;
        test(page).await
    })
    .await
}

impl Page {
    /// Has the page connect to the played server.
    async fn is_served(&self) -> Result<()> {
        self.run(SERVER, &[]).await?;
        self.is_connected().await
    }

    /// Has the server say this: a list of frames in JavaScript, where `message` makes one.
    async fn hears(&self, frames: &str) -> Result<()> {
        self.run(&format!("const {{ message }} = server; server.push({frames})"), &[]).await?;
        Ok(())
    }

    /// Has the server answer nothing to messages until `sends` are answered by hand.
    async fn gets_no_acks(&self) -> Result<()> {
        self.run("server.answer = server.answers.send; server.answers.send = () => []", &[]).await?;
        Ok(())
    }

    /// Answers the last message after all.
    async fn gets_its_ack(&self) -> Result<()> {
        self.run("server.push(...server.answersTo(server.sent(), server.answer))", &[]).await?;
        Ok(())
    }

    /// What the page asked for by an action, but for the references.
    async fn asked(&self, action: &str) -> Result<Vec<Value>> {
        let script = "return server.said.filter((frame) => frame.action === arguments[0]).map(({ ref, ...frame }) => frame)";
        let asked = self.run(script, &[json!(action)]).await?;
        Ok(asked.as_array().context("a list")?.clone())
    }
}

// --- who says what -------------------------------------------------------------------------------------

async fn a_key_suppresses_no_message_of_a_backend_or_of_another_client(page: Page) -> Result<()> {
    page.hears(
        "message('1', 'evil', { name: 'Eve', text: 'The keys are mine', key: 'order-7-sent' }),
         message('2', 'evil', { name: 'Eve', text: 'And his', key: 'k' }),
         message('order-7-sent', undefined, { text: 'Order 7 was sent' }),
         message('3', 'bob', { name: 'Bob', text: 'Hello', key: 'k' }),
         message('4', undefined, { text: 'Order 8 was sent', key: 'k' })",
    )
    .await?;
    for text in ["The keys are mine", "And his", "Order 7 was sent", "Hello", "Order 8 was sent"] {
        page.sees(LOG, text).await?;
    }
    Ok(())
}

async fn a_pending_message_is_confirmed_by_its_ack_alone(page: Page) -> Result<()> {
    page.gets_no_acks().await?;
    page.says("Mine").await?;
    page.sees(".pending .text", "Mine").await?;
    page.hears("message('e1', 'evil', { ...server.sent().message, name: 'Eve', text: 'Taken over' })")
        .await?;
    page.sees(LOG, "Eve\nTaken over").await?;
    ensure!(page.text(".pending .text").await? == "Mine", "another text is another message");
    // It was said, or nobody would know the key. But not who says it is oneself.
    page.hears(
        "message('e2', 'evil', { ...server.sent().message, name: 'Eve' }), message('e3', 'evil', 'Later')",
    )
    .await?;
    page.sees(LOG, "Later").await?;
    ensure!(page.text(".own .from").await? == "Ada", "{}", page.text(".own").await?);
    ensure!(page.text(".own .text").await? == "Mine");
    page.gets_its_ack().await?;
    page.hears("message('e4', 'evil', 'Much later'), message('s1', server.self, 'From here')").await?;
    page.sees(".own .text", "From here").await?;
    ensure!(page.text(".own .text").await? == "Mine\nFrom here", "{}", page.text(".own").await?);
    page.sees("#people", "Ada (you)").await?;
    Ok(())
}

async fn a_message_whose_answer_was_lost_is_shown_once(page: Page) -> Result<()> {
    let twice =
        |from: &str| format!("message('{from}', '{from}', {{ name: 'Bob', text: 'Twice', key: 'k' }})");
    page.hears(&format!("{}, {}, message('x', 'bob-3', 'Done')", twice("bob-1"), twice("bob-2"))).await?;
    page.sees(LOG, "Done").await?;
    ensure!(page.lines_with("Twice").await? == 1, "{}", page.text(LOG).await?);

    page.gets_no_acks().await?;
    page.says("Mine").await?;
    page.sees(".pending .text", "Mine").await?;
    // From the connection before this one.
    page.hears("message('first', 'self-0', server.sent().message)").await?;
    page.gets_its_ack().await?;
    page.hears("message('first', 'self-0', server.sent().message), message('y', 'bob-3', 'Done too')")
        .await?;
    page.sees(LOG, "Done too").await?;
    ensure!(page.lines_with("Mine").await? == 1, "{}", page.text(LOG).await?);
    ensure!(page.text(".pending, .failed").await?.is_empty());
    Ok(())
}

async fn only_the_server_is_called_server(page: Page) -> Result<()> {
    page.hears(
        "message('1', 'c1d2e3', { text: 'No name' }), message('2', 'c1d2e3', 'No object'),
         message('3', 'd1d2e3', { name: ' ＳＥＲＶＥＲ\\u200b', text: 'Fake' }),
         message('4', 'e1d2e3', { name: 7, text: 'Odd' }),
         message('5', undefined, { name: 'Bob', text: 'Real' })",
    )
    .await?;
    page.sees(LOG, "Real").await?;
    let names = page.text(".log .from").await?;
    ensure!(names == "Guest c1d2\nGuest d1d2 (“ＳＥＲＶＥＲ”)\nGuest e1d2\nServer", "{names}");
    ensure!(page.text(".server .text").await? == "Real");
    page.is_good(DESKTOP, "-server").await?;
    Ok(())
}

async fn who_takes_the_name_of_another_is_told_apart(page: Page) -> Result<()> {
    page.run(
        "server.answers.list = ({ channel }) => [{ type: 'members', channel, requestId: 'r', members:
             ['bob-1', 'eve-2', 'mix-3', 'new-4', 'self-1'].map((connectionId) => ({ connectionId, connectedAt: 0 })).concat(
                 [{ connectionId: 'grace-5', principal: 'grace', connectedAt: 0 }]) }]",
        &[],
    )
    .await?;
    page.hears(
        "message('1', 'old-0', { name: 'Bob', text: 'Before a reconnect' }),
         message('2', 'bob-1', { name: 'Bob', text: 'After it' }),
         message('3', 'eve-2', { name: ' Bób', text: 'Fake' }),
         message('4', 'mix-3', { name: 'Bоb', text: 'Fake, with a Russian o' }),
         message('5', 'new-4', { name: 'Grace', text: 'A guest as well' })",
    )
    .await?;
    page.sees("#people", "grace").await?;
    page.sees(LOG, "Guest eve- (“Bób”)").await?;
    let names = page.text(".log .from").await?;
    ensure!(names == "Bob\nGuest eve- (“Bób”)\nGuest mix- (“Bоb”)\nGuest new- (“Grace”)", "{names}");
    Ok(())
}

async fn what_one_said_oneself_is_known_from_the_first_frame(page: Page) -> Result<()> {
    page.sees("#people", "(you)").await?;
    page.hears("message('1', 'self-1', { name: 'Ada', text: 'From before' }), message('2', 'bob', { name: 'Bob', text: 'His' })")
        .await?;
    page.sees(LOG, "His").await?;
    ensure!(page.text(".own .text").await? == "From before");
    page.0.refresh().await?;
    page.run(&SERVER.replace("self: \"self-1\"", "self: \"self-2\""), &[]).await?;
    page.is_connected().await?;
    page.hears("message('1', 'self-1', { name: 'Ada', text: 'On the former connection' })").await?;
    page.sees(".own .text", "On the former connection").await
}

async fn addresses_are_links_that_lead_where_they_say(page: Page) -> Result<()> {
    page.hears(
        "message('1', 'bob', { name: 'Bob', text:
             'See https://example.com/a_(b), (http://b.example/?c=1) or HTTPS://аpple.com! Not javascript:alert(1) nor <b>https</b>' })",
    )
    .await?;
    page.sees(LOG, "See https://example.com/a_(b), (http://b.example/?c=1) or HTTPS://аpple.com! Not")
        .await?;
    let links = page
        .run("return [...document.querySelectorAll('.log a')].map(({ textContent, href, title, rel, target }) => [textContent, href, title, rel, target])", &[])
        .await?;
    let link = |text: &str, to: &str| json!([text, to, to, "noopener noreferrer nofollow", "_blank"]);
    ensure!(
        links
            == json!([
                link("https://example.com/a_(b)", "https://example.com/a_(b)"),
                link("http://b.example/?c=1", "http://b.example/?c=1"),
                link("HTTPS://аpple.com", "https://xn--pple-43d.com/"),
            ]),
        "{links:#}"
    );
    page.is_good(DESKTOP, "-links").await
}

async fn each_day_begins_with_its_name(page: Page) -> Result<()> {
    page.hears(
        "message('2', 'bob', { name: 'Bob', text: 'Now' }),
         message('1', 'bob', { name: 'Bob', text: 'Then' }, { sentAt: new Date().setHours(12) - 86_400_000 }),
         message('0', 'bob', { name: 'Bob', text: 'Long ago' }, { sentAt: new Date(2020, 1, 29, 12).getTime() })",
    )
    .await?;
    page.sees(LOG, "Now").await?;
    let days = page.text(".log .day").await?;
    ensure!(days == "Saturday, February 29, 2020\nYesterday\nToday", "{days}");
    Ok(())
}

async fn what_was_not_read_is_counted_in_the_title(page: Page) -> Result<()> {
    let title = async || page.run("return document.title", &[]).await;
    page.types("#channel", "lobby\n").await?;
    page.sees("#channels [aria-current]", "lobby").await?;
    ensure!(title().await? == "lobby – Chat");
    page.hears("message('1', 'bob', 'One'), message('2', 'bob', 'Two'), message('3', 'bob', 'Here', { channel: 'lobby' })")
        .await?;
    page.sees("#channels", "Everyone\n2\nunread").await?;
    ensure!(title().await? == "(2) lobby – Chat");
    // A page that is not on view counts what comes to the channel that it shows, until it is.
    let hide = "Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true });
                document.dispatchEvent(new Event('visibilitychange'))";
    page.run(hide, &[json!(true)]).await?;
    page.hears("message('4', 'bob', 'Behind', { channel: 'lobby' })").await?;
    page.sees(LOG, "Behind").await?;
    ensure!(title().await? == "(3) lobby – Chat");
    page.run(hide, &[json!(false)]).await?;
    ensure!(title().await? == "(2) lobby – Chat");
    page.types("#text", &(Key::Alt + &Key::Up.to_string())).await?;
    page.sees("#channels [aria-current]", "Everyone").await?;
    ensure!(title().await? == "Everyone – Chat");
    Ok(())
}

async fn what_is_for_a_user_or_a_connection_is_not_shown_in_a_channel(page: Page) -> Result<()> {
    page.hears(
        "message('1', undefined, 'For Ada', { channel: 'user:ada' }),
         message('2', undefined, 'For this page', { channel: undefined }),
         message('3', 'bob', 'To a channel that was left', { channel: 'left' }),
         message('4', 'bob', 'For everyone')",
    )
    .await?;
    page.sees(LOG, "For everyone").await?;
    ensure!(page.text(LOG).await?.matches("For ").count() == 1, "{}", page.text(LOG).await?);
    page.sees("#channels", "user:ada\n1\nunread\nOnly you\n1\nunread").await?;
    ensure!(!page.text("#channels").await?.contains("left"));
    page.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    page.sees(LOG, "For Ada").await?;
    page.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    page.sees(LOG, "For this page").await?;
    ensure!(page.run("return document.getElementById('text').disabled", &[]).await? == true);
    page.is_good(DESKTOP, "-only-you").await?;
    page.clicks("[aria-label='Leave Only you']").await?;
    page.sees(LOG, "For everyone").await?;
    ensure!(page.asked("unsubscribe").await?.is_empty(), "it is no channel");
    Ok(())
}

// --- errors and drafts ---------------------------------------------------------------------------------

async fn errors_are_explained_and_only_what_can_succeed_is_offered_again(page: Page) -> Result<()> {
    let error =
        |code: &str| format!("() => [{{ type: 'error', code: '{code}', message: '{{\"protocol\"}}' }}]");
    for (code, words) in [
        ("forbidden", "You may not use this channel."),
        ("too_many_subscriptions", "You are in as many channels as the server allows."),
        ("invalid_request", "The server does not accept this."),
        ("unknown_action", "The server does not offer this."),
    ] {
        page.run(&format!("server.answers.subscribe = {}", error(code)), &[]).await?;
        page.run("document.getElementById('channel').value = ''", &[]).await?;
        page.types("#channel", "lobby\n").await?;
        page.sees("#join-error", words).await?;
    }
    for (name, answer, words, is_offered) in [
        ("forbidden", error("forbidden"), "Not sent. You may not use this channel.", false),
        ("too large", error("message_too_large"), "Not sent. The message is too long.", false),
        (
            "fault",
            "() => [{ message: 'Internal server error', connectionId: 'c', requestId: 'r' }]".to_owned(),
            "Not sent. Something went wrong on the server.",
            true,
        ),
    ] {
        page.run(&format!("server.fine ??= server.answers.send; server.answers.send = {answer}"), &[])
            .await?;
        page.says(name).await?;
        page.sees(".failed:last-child .status", words).await?;
        ensure!(page.text(".failed:last-child button").await?.is_empty() != is_offered, "{name}");
    }
    ensure!(!page.text("body").await?.contains("protocol"));
    page.is_good(DESKTOP, "-failed").await?;
    page.run("server.answers.send = server.fine", &[]).await?;
    page.clicks(".failed button").await?;
    page.sees(".own:not(.failed, .pending) .text", "fault").await?;
    ensure!(page.lines_with("fault").await? == 1);
    Ok(())
}

async fn a_too_long_message_stays_to_be_shortened(page: Page) -> Result<()> {
    let draft = "return document.getElementById('text').value.length";
    page.run("document.getElementById('text').value = 'é'.repeat(20_000)", &[]).await?;
    page.types("#text", "\n").await?;
    page.sees("#problem", "The message is too long. Shorten it by about").await?;
    ensure!(page.run(draft, &[]).await? == 20_000);
    ensure!(page.asked("send").await?.is_empty());
    page.types("#text", "x").await?;
    ensure!(page.text("#problem").await?.is_empty(), "it is gone while one writes");
    page.run("document.getElementById('text').value = 'é'.repeat(16_000)", &[]).await?;
    page.types("#text", "\n").await?;
    page.sees(".own:not(.pending) .text", "é").await?;
    ensure!(page.run(draft, &[]).await? == 0);
    Ok(())
}

async fn a_draft_stays_with_its_channel(page: Page) -> Result<()> {
    let draft = "return document.getElementById('text').value";
    page.types("#channel", "lobby\n").await?;
    page.sees("#channels [aria-current]", "lobby").await?;
    page.types("#text", "for the lobby").await?;
    page.types("#text", &(Key::Alt + &Key::Up.to_string())).await?;
    page.sees("#channels [aria-current]", "Everyone").await?;
    ensure!(page.run(draft, &[]).await? == "");
    page.says("for everyone").await?;
    page.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    page.sees("#channels [aria-current]", "lobby").await?;
    ensure!(page.run(draft, &[]).await? == "for the lobby");
    page.clicks("[aria-label='Leave lobby']").await?;
    page.sees(LOG, "for everyone").await?;
    ensure!(page.run(draft, &[]).await? == "", "it went with its channel");
    Ok(())
}

async fn a_draft_is_there_after_a_reload(page: Page) -> Result<()> {
    page.types("#text", "not finished").await?;
    page.0.refresh().await?;
    ensure!(page.run("return document.getElementById('text').value", &[]).await? == "not finished");
    Ok(())
}

// --- a reload ------------------------------------------------------------------------------------------

async fn a_reload_asks_for_what_was_said_since_the_channel_was_joined(page: Page) -> Result<()> {
    page.types("#channel", "lobby\n").await?;
    page.sees("#channels [aria-current]", "lobby").await?;
    let asked = ["*", "lobby"].map(|channel| json!({"action": "subscribe", "channel": channel}));
    ensure!(page.asked("subscribe").await? == asked);
    let start = page.run("return Date.now()", &[]).await?;
    page.hears("message('1', 'bob', { name: 'Bob', text: 'Seen' }, { channel: 'lobby' })").await?;
    page.sees(LOG, "Seen").await?;

    page.0.refresh().await?;
    page.run(
        &format!(
            "localStorage.setItem('before', localStorage.getItem('rooms'));
             window.history_of = ['Seen', 'Missed'].map((text, at) => ({{ type: 'message', id: String(at + 1),
                 channel: 'lobby', from: 'bob', message: {{ name: 'Bob', text }}, sentAt: {start} + at * 600_000 }}));
             {}",
            SERVER.replace("history: {}", "history: { lobby: window.history_of }"),
        ),
        &[],
    )
    .await?;
    page.is_connected().await?;
    page.sees("#channels", "lobby\n1\nunread").await?;
    let asked = page.asked("subscribe").await?;
    let channels: Vec<_> = asked.iter().map(|frame| &frame["channel"]).collect();
    ensure!(channels == ["*", "lobby"], "{channels:?}");
    ensure!(asked.iter().all(|frame| frame["since"].as_u64() <= start.as_u64()), "{asked:?}");
    page.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    page.sees(LOG, "Bob\nSeen").await?;
    page.sees(LOG, "Missed").await?;
    ensure!(!page.text(LOG).await?.contains("missing"));
    ensure!(page.text("#channels .unread:not([hidden])").await?.is_empty());
    Ok(())
}

async fn a_server_without_a_history_is_used_after_a_reload_too(page: Page) -> Result<()> {
    page.types("#channel", "lobby\n").await?;
    page.sees("#channels [aria-current]", "lobby").await?;
    page.0.refresh().await?;
    let no_history = "subscribe({ channel, since }) {
        if (since !== undefined) return [{ type: 'error', code: 'invalid_request', message: 'unknown field' }];";
    page.run(&SERVER.replace("subscribe({ channel, since }) {", no_history), &[]).await?;
    page.is_connected().await?;
    page.types("#text", &(Key::Alt + &Key::Down.to_string())).await?;
    page.sees(LOG, "Messages from before may be missing.").await?;
    let asked = page.asked("subscribe").await?;
    ensure!(asked.last() == Some(&json!({"action": "subscribe", "channel": "lobby"})), "{asked:?}");
    Ok(())
}

async fn earlier_messages_are_fetched_where_one_looks_for_them(page: Page) -> Result<()> {
    page.run(
        "server.history = { '*': Array.from({ length: 60 }, (_, at) => server.message(`old ${at}`, 'bob', { name: 'Bob', text: `Old ${at}` },
             { sentAt: 1_700_000_000_000 + at })) }",
        &[],
    )
    .await?;
    page.hears("message('1', 'bob', { name: 'Bob', text: 'New' })").await?;
    page.sees(LOG, "New").await?;
    page.clicks(".log:not([hidden]) .earlier").await?;
    page.sees(LOG, "Nothing older is kept.").await?;
    page.sees(LOG, "Old 0").await?;
    ensure!(page.text(LOG).await?.matches("Old ").count() == 60);
    let asked = page.asked("subscribe").await?;
    ensure!(asked.last() == Some(&json!({"action": "subscribe", "channel": "*", "since": 0})), "{asked:?}");
    let log = "const log = document.querySelector('.log:not([hidden])');";
    let is_at_end = format!("{log} return log.scrollHeight - log.scrollTop - log.clientHeight < 40");
    ensure!(page.run(&is_at_end, &[]).await? == true, "what was on view is");

    // In another channel, who scrolls up finds them.
    page.run("server.history.lobby = [server.message('lobby', 'bob', { name: 'Bob', text: 'From the lobby' }, { channel: 'lobby', sentAt: 1 })]", &[])
        .await?;
    page.types("#channel", "lobby\n").await?;
    page.sees("#channels [aria-current]", "lobby").await?;
    let long = "Array.from({ length: 40 }, (_, at) => message(`new ${at}`, 'bob', `New ${at}`, { channel: 'lobby' }))";
    page.hears(&format!("...{long}")).await?;
    page.sees(LOG, "New 39").await?;
    page.run(&format!("{log} log.scrollTop = 0"), &[]).await?;
    page.sees(LOG, "From the lobby").await?;
    Ok(())
}

// --- the policy ----------------------------------------------------------------------------------------

async fn a_script_in_the_page_does_not_run(page: Page) -> Result<()> {
    page.run(
        "const blocked = [];
         document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
             blocked.push(effectiveDirective);
             document.getElementById('server').textContent = blocked.sort().join(' ');
         });
         const script = Object.assign(document.createElement('script'), { textContent: 'window.ran = true' });
         const far = Object.assign(document.createElement('script'), { src: 'http://127.0.0.1:9/far.js' });
         const image = Object.assign(document.createElement('img'), { src: 'http://127.0.0.1:9/far.png', alt: '' });
         document.body.append(script, far, image);
         document.body.insertAdjacentHTML('beforeend', '<b onclick=\"window.ran = true\" id=\"bait\">b</b>');
         document.getElementById('bait').click();",
        &[],
    )
    .await?;
    page.sees("#server", "img-src script-src-attr script-src-elem script-src-elem").await?;
    ensure!(page.run("return window.ran === undefined", &[]).await? == true);
    Ok(())
}

async fn the_page_is_served_with_its_policy() -> Result<()> {
    let port = page::serve(&repository(), 0).await?;
    for path in ["/", "/chat.js", "/chat.css", "/client/index.js", "/not-there"] {
        let answer = get(&format!("http://127.0.0.1:{port}{path}")).await?;
        let head = answer.split("\r\n\r\n").next().context("a head")?.to_lowercase();
        for header in [
            "content-security-policy: frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            ensure!(head.contains(header), "{path}: no {header:?} in {head}");
        }
        let status = if path == "/not-there" { "404" } else { "200" };
        ensure!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
    }
    let page = get(&format!("http://127.0.0.1:{port}/")).await?;
    ensure!(
        page.contains("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "),
        "{page}"
    );
    Ok(())
}
