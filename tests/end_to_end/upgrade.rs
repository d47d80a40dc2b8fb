//! A stack is changed bit by bit: clients are served what it says after each apply, and stay connected.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use local_cloud::stack::Stack;
use serde_json::{Value, json};

use crate::cloud::Cloud;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("upgrade::a_client_stays_through_every_change", a_client_stays_through_every_change),
        trial("upgrade::a_route_that_is_taken_away_is_gone", a_route_that_is_taken_away_is_gone),
        trial("upgrade::connect_is_guarded_at_every_moment", connect_is_guarded_at_every_moment),
        trial("upgrade::a_live_api_is_imported", a_live_api_is_imported),
        trial("upgrade::the_role_for_logs_stays_as_it_is", the_role_for_logs_stays_as_it_is),
    ]
}

const TALK: &str = r#"module.websocket.aws_lambda_function.this["talk"]"#;
const STORED: &str = r#"module.websocket.aws_lambda_function.this["stored"]"#;

async fn a_client_stays_through_every_change() -> Result<()> {
    let cloud = Cloud::start("upgrade", "tests/stacks/upgrade").await?;
    let stack = cloud.stack.clone();
    stack.apply(|_, _| ()).await?;
    let url = cloud.output("websocket_url").await? + "?token=x";
    let mut client = Client::connect(&url).await?;
    says(&mut client, "talk", "first").await?;
    says(&mut client, "stored", "first").await?;

    // New code is a function's own matter.
    let stack = stack.with("code", "second");
    ensure!(changed(&stack).await? == [("update", TALK)].map(owned), "new code of a zip");
    says(&mut client, "talk", "second").await?;
    let stack = stack.with("stored_code", "second");
    let changes = changed(&stack).await?;
    let object = ("update", "aws_s3_object.package");
    ensure!(changes == [object, ("update", STORED)].map(owned), "new code in a bucket: {changes:?}");
    says(&mut client, "stored", "second").await?;

    // What a deployment holds is served at once.
    let stack = stack.with("more_routes", r#"["ping"]"#);
    ensure!(connections_stay(&changed(&stack).await?), "a new route");
    client.say(r#"{"action":"ping"}"#).await?;
    client.hear("ping").await?;
    let stack = stack.with("required", "name");
    ensure!(connections_stay(&changed(&stack).await?), "another model");
    client.say(r#"{"action":"talk"}"#).await?;
    client.hear_with("message", "Bad request body").await?;
    client.say(r#"{"action":"talk","name":"ada"}"#).await?;
    client.hear("version").await?;
    let stack = stack.with("token", "key");
    ensure!(connections_stay(&changed(&stack).await?), "another authorizer");
    ensure!(Client::refused(&url).await? == 401, "the authorizer looks where it did");
    Client::connect(&url.replace("token=", "key=")).await?.close().await?;

    // Behind an alias the routes lead elsewhere. Another version then is a function's own matter.
    let stack = stack.with("warm", "1").with("required", "");
    ensure!(connections_stay(&changed(&stack).await?), "a function that is kept warm, and no model");
    says(&mut client, "talk", "second").await?;
    let stack = stack.with("code", "first");
    let alias = ("update", r#"module.websocket.aws_lambda_alias.warm["talk"]"#);
    ensure!(changed(&stack).await? == [alias, ("update", TALK)].map(owned), "new code behind an alias");
    // Not asked which code answers: the emulator goes on with the version that it has warm under the alias.

    // What is taken away goes after what pointed at it.
    let stack = stack.with("warm", "0").with("token", "").with("more_routes", "[]");
    ensure!(connections_stay(&changed(&stack).await?), "no alias, no authorizer, no mock");
    says(&mut client, "talk", "first").await?;
    Client::connect(url.trim_end_matches("?token=x")).await?.close().await?;

    client.close().await?;
    stack.destroy().await?;
    cloud.stop().await;
    Ok(())
}

async fn a_route_that_is_taken_away_is_gone() -> Result<()> {
    let cloud = Cloud::start("routes", "tests/stacks/routes").await?;
    let mut routes = json!({
        "$connect": { "function": "one" },
        "$default": { "function": "one", "two_way": true },
        "removed": { "function": "one", "two_way": true },
        "renamed": { "function": "two", "two_way": true },
        "left": { "function": "one", "two_way": true },
        "right": { "function": "two", "two_way": true },
        "fixed": { "mock": json!({ "type": "answer", "function": "first" }).to_string() },
        "silent": { "function": "one" },
    });
    let stack = cloud.stack.clone().with("routes", &routes.to_string());
    stack.apply(|_, _| ()).await?;
    let url = cloud.output("websocket_url").await?;
    let mut client = Client::connect(&url).await?;
    for (key, function) in [("removed", "one"), ("renamed", "two"), ("left", "one"), ("right", "two")] {
        answers(&mut client, key, function, key).await?;
    }
    answers(&mut client, "fixed", "first", "").await?;
    client.say(r#"{"action":"silent"}"#).await?;
    client.hear_no("answer", Duration::from_secs(1)).await?;

    routes["renamed!"] = routes["renamed"].take();
    without(&mut routes, &["removed", "renamed"]);
    let stack = apply_routes(&stack, &routes).await?;
    answers(&mut client, "removed", "one", "$default").await?;
    answers(&mut client, "renamed", "one", "$default").await?;
    answers(&mut client, "renamed!", "two", "renamed!").await?;

    routes["left"]["function"] = json!("two");
    routes["right"]["function"] = json!("one");
    routes["fixed"]["mock"] = json!({ "type": "answer", "function": "second" }).to_string().into();
    routes["silent"]["two_way"] = json!(true);
    let stack = apply_routes(&stack, &routes).await?;
    answers(&mut client, "left", "two", "left").await?;
    answers(&mut client, "right", "one", "right").await?;
    answers(&mut client, "fixed", "second", "").await?;
    answers(&mut client, "silent", "one", "silent").await?;

    // A function goes, with all that leads to it.
    without(&mut routes, &["left", "renamed!"]);
    let stack = apply_routes(&stack.with("functions", r#"["one"]"#), &routes).await?;
    answers(&mut client, "left", "one", "$default").await?;
    answers(&mut client, "renamed!", "one", "$default").await?;

    // The function of $connect too: then everybody is let in, and nobody asked.
    routes = json!({ "$default": { "mock": json!({ "type": "answer", "function": "last" }).to_string() } });
    let stack = apply_routes(&stack.with("functions", "[]"), &routes).await?;
    answers(&mut client, "right", "last", "").await?;
    let mut another = Client::connect(&url).await?;
    answers(&mut another, "anything", "last", "").await?;

    stack.destroy().await?;
    cloud.stop().await;
    Ok(())
}

/// Data that is read only at apply, since something before it changes, replaces nothing.
async fn the_role_for_logs_stays_as_it_is() -> Result<()> {
    let cloud = Cloud::start("upgrade-after", "tests/stacks/after").await?;
    let stack = cloud.stack.clone();
    stack.apply(|_, _| ()).await?;
    let stack = stack.with("before", "second");
    let changes = changed(&stack).await?;
    ensure!(changes == [("update", "terraform_data.before")].map(owned), "{changes:?}");
    stack.destroy().await?;
    cloud.stop().await;
    Ok(())
}

async fn connect_is_guarded_at_every_moment() -> Result<()> {
    let cloud = Cloud::start("guarded", "tests/stacks/routes").await?;
    let mut routes = json!({ "$connect": { "function": "one" }, "$default": { "mock": "default" } });
    let guard =
        |name: &str| json!({ "function": name, "identity_sources": ["route.request.querystring.token"] });
    let stack =
        cloud.stack.clone().with("routes", &routes.to_string()).with("guards", "{ first = 0, second = 0 }");
    stack.apply(|_, _| ()).await?;
    let open = cloud.output("websocket_url").await?;
    let guarded = format!("{open}?token=x");

    // The authorizer comes: who brings what it wants is let in at every moment, and the others until it is there.
    let stack = stack.with("authorizer", &guard("first").to_string());
    ensure!(seen_meanwhile(&stack, &guarded).await? == [101].into(), "the authorizer was added");
    ensure!(Client::refused(&open).await? == 401, "the authorizer is not asked");

    // It is another function, then that one's alias, then none: nobody comes in without a token, none with one is refused.
    let stack = stack.with("authorizer", &guard("second").to_string());
    ensure!(seen_meanwhile(&stack, &guarded).await? == [101].into(), "the authorizer became another");
    let stack = stack.with("guards", "{ first = 0, second = 1 }");
    ensure!(seen_meanwhile(&stack, &open).await? == [401].into(), "the authorizer became an alias");
    let stack = stack.with("guards", "{ first = 0, second = 0 }");
    ensure!(seen_meanwhile(&stack, &guarded).await? == [101].into(), "the authorizer is an alias no more");
    let stack = stack.with("authorizer", "null").with("guards", "{}");
    ensure!(seen_meanwhile(&stack, &guarded).await? == [101].into(), "the authorizer was taken away");
    Client::connect(&open).await?.close().await?;

    // With $connect the authorizer goes too.
    let stack = stack.with("authorizer", &guard("first").to_string()).with("guards", "{ first = 0 }");
    stack.apply(|_, _| ()).await?;
    ensure!(Client::refused(&open).await? == 401, "the authorizer is not asked again");
    without(&mut routes, &["$connect"]);
    let stack = stack.with("authorizer", "null").with("guards", "{}");
    apply_routes(&stack, &routes).await?;
    Client::connect(&open).await?.close().await?;

    stack.with("routes", &routes.to_string()).destroy().await?;
    cloud.stop().await;
    Ok(())
}

async fn a_live_api_is_imported() -> Result<()> {
    let cloud = Cloud::start("imported", "tests/stacks/imported").await?;
    let make = async |operation: &str, id: &str, parameters: Value| -> Result<String> {
        let made = cloud.aws("apigatewayv2", operation, &parameters).await?;
        Ok(made[id].as_str().unwrap_or_default().to_owned())
    };
    let expression = "$request.body.action";
    let api = make(
        "create_api",
        "ApiId",
        json!({ "Name": "live", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": expression }),
    )
    .await?;
    let integration =
        make("create_integration", "IntegrationId", json!({ "ApiId": api, "IntegrationType": "MOCK" }))
            .await?;
    let target = format!("integrations/{integration}");
    let route =
        make("create_route", "RouteId", json!({ "ApiId": api, "RouteKey": "$default", "Target": target }))
            .await?;
    let deployment = make("create_deployment", "DeploymentId", json!({ "ApiId": api })).await?;
    make(
        "create_stage",
        "StageName",
        json!({ "ApiId": api, "StageName": "live", "DeploymentId": deployment }),
    )
    .await?;

    // The first apply is enough: clients stay, and are served what the module says.
    let ids = json!({ "id": api, "route": route, "integration": integration });
    let stack = cloud.stack.clone().with("api", &ids.to_string());
    changed(&stack).await?;
    let mut client = Client::connect(&cloud.output("websocket_url").await?).await?;
    answers(&mut client, "anything", "module", "").await?;
    client.close().await?;
    stack.destroy().await?;
    cloud.stop().await;
    Ok(())
}

/// Applies the stack with these routes. There is nothing more to do then.
async fn apply_routes(stack: &Stack, routes: &Value) -> Result<Stack> {
    let stack = stack.clone().with("routes", &routes.to_string());
    changed(&stack).await?;
    Ok(stack)
}

fn without(routes: &mut Value, keys: &[&str]) {
    if let Some(routes) = routes.as_object_mut() {
        routes.retain(|key, _| !keys.contains(&key.as_str()));
    }
}

/// Makes sure that this function answers what a client says, on this route.
async fn answers(client: &mut Client, action: &str, function: &str, route: &str) -> Result<()> {
    client.say(json!({ "action": action }).to_string()).await?;
    let heard = client.hear_any().await?;
    let expected = heard["function"] == function && heard["route"].as_str().unwrap_or_default() == route;
    ensure!(expected, "{action} is answered {heard}, not by {function} on {route}");
    Ok(())
}

/// Applies, and gives each status with which clients were answered meanwhile. There is nothing more to do then.
async fn seen_meanwhile(stack: &Stack, url: &str) -> Result<BTreeSet<u16>> {
    let mut seen = BTreeSet::new();
    let watch = async {
        loop {
            match Client::connect(url).await {
                Ok(client) => seen.insert(client.close().await.map_or(0, |()| 101)),
                Err(_) => seen.insert(Client::refused(url).await.unwrap_or(0)),
            };
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        done = changed(stack) => { done?; }
        () = watch => {}
    }
    Ok(seen)
}

/// Applies, and gives what that changed. There is nothing more to do then.
async fn changed(stack: &Stack) -> Result<Vec<(String, String)>> {
    let changes = stack.apply_and_tell().await?;
    let changes = changes.into_iter().map(|(address, action)| (action, address)).collect();
    let left = stack.actions().await?;
    ensure!(left.is_empty(), "a second plan has something to do: {left:?}");
    Ok(changes)
}

/// Whether something changes, and what clients are connected to stays.
fn connections_stay(changes: &[(String, String)]) -> bool {
    let holds = |address: &str| {
        ["aws_apigatewayv2_api.", "aws_apigatewayv2_stage.", "aws_dynamodb_table."]
            .iter()
            .any(|kind| address.contains(kind))
    };
    !changes.is_empty() && !changes.iter().any(|(action, address)| action != "update" && holds(address))
}

async fn says(client: &mut Client, route: &str, version: &str) -> Result<()> {
    client.say(format!(r#"{{"action":"{route}"}}"#)).await?;
    let heard = client.hear("version").await?;
    ensure!(heard["version"] == version, "{route} says {heard}, not {version}");
    Ok(())
}

fn owned((action, address): (&str, &str)) -> (String, String) {
    (action.to_owned(), address.to_owned())
}
