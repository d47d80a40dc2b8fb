//! A stack is changed bit by bit: each change deploys the API once or not at all, and a client stays connected.

use anyhow::{Result, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use local_cloud::stack::Stack;

use crate::cloud::Cloud;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("upgrade::a_client_stays_through_every_change", a_client_stays_through_every_change),
        trial("upgrade::the_role_for_logs_stays_as_it_is", the_role_for_logs_stays_as_it_is),
    ]
}

const DEPLOYMENT: &str = "module.websocket.aws_apigatewayv2_deployment.this[0]";
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

    // What a deployment holds deploys it anew, once.
    let stack = stack.with("more_routes", r#"["ping"]"#);
    ensure!(deployed_anew(&changed(&stack).await?), "a new route");
    client.say(r#"{"action":"ping"}"#).await?;
    client.hear("ping").await?;
    let stack = stack.with("required", "name");
    ensure!(deployed_anew(&changed(&stack).await?), "another model");
    client.say(r#"{"action":"talk"}"#).await?;
    client.hear_with("message", "Bad request body").await?;
    client.say(r#"{"action":"talk","name":"ada"}"#).await?;
    client.hear("version").await?;
    let stack = stack.with("token", "key");
    ensure!(deployed_anew(&changed(&stack).await?), "another authorizer");
    ensure!(Client::refused(&url).await? == 401, "the authorizer looks where it did");
    Client::connect(&url.replace("token=", "key=")).await?.close().await?;

    // Behind an alias: a deployment, as the routes lead elsewhere. Another version then is a function's own matter.
    let stack = stack.with("warm", "1").with("required", "");
    ensure!(deployed_anew(&changed(&stack).await?), "a function that is kept warm, and no model");
    says(&mut client, "talk", "second").await?;
    let stack = stack.with("code", "first");
    let alias = ("update", r#"module.websocket.aws_lambda_alias.warm["talk"]"#);
    ensure!(changed(&stack).await? == [alias, ("update", TALK)].map(owned), "new code behind an alias");
    // Not asked which code answers: the emulator goes on with the version that it has warm under the alias.

    // What is taken away goes after what pointed at it.
    let stack = stack.with("warm", "0").with("token", "").with("more_routes", "[]");
    ensure!(deployed_anew(&changed(&stack).await?), "no alias, no authorizer, no mock");
    says(&mut client, "talk", "first").await?;
    Client::connect(url.trim_end_matches("?token=x")).await?.close().await?;

    client.close().await?;
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

/// Applies, and gives what that changed. There is nothing more to do then.
async fn changed(stack: &Stack) -> Result<Vec<(String, String)>> {
    let changes = stack.actions().await?.into_iter().map(|(address, action)| (action, address)).collect();
    stack.apply(|_, _| ()).await?;
    let left = stack.actions().await?;
    ensure!(left.is_empty(), "a second plan has something to do: {left:?}");
    Ok(changes)
}

/// Whether the API is deployed anew, and what clients are connected to stays.
fn deployed_anew(changes: &[(String, String)]) -> bool {
    let gone = |address: &str| {
        ["aws_apigatewayv2_api.", "aws_apigatewayv2_stage.", "aws_dynamodb_table."]
            .iter()
            .any(|kind| address.contains(kind))
    };
    changes.contains(&owned(("replace", DEPLOYMENT)))
        && !changes.iter().any(|(action, address)| action != "update" && gone(address))
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
