//! What AWS would refuse late, or take and break on, the modules refuse at plan: with a sentence that says
//! what to write instead.
//!
//! Each case is a use of a module with one thing wrong. Terraform plans them all at once, and reports each
//! refusal with its place. `terraform test` can expect a failure, but not hear what it says.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::Path,
    process::{Command, Output},
};

use local_cloud::repository;
use serde_json::Value;

/// What is right, and stays so unless the case gives the argument itself.
const WEBSOCKET_API: Module = Module {
    path: "modules/websocket-api",
    arguments: &[
        ("name", r#""chat""#),
        ("functions", r#"{ f = { package = "../../../modules/websocket-api/tests/package.zip" } }"#),
        ("routes", r#"{ "$connect" = { function = "f" } }"#),
    ],
    refused: &[
        // The API
        (r#"name = "my chat""#, "name takes 1 to 40 letters"),
        (r#"name = "a123456789b123456789c123456789d123456789e""#, "name takes 1 to 40 letters"),
        (r#"global_name_suffix = "eu west 1""#, "global_name_suffix takes 1 to 32 letters"),
        (
            "name = \"a123456789b123456789c123456789d123456789\"\nfunctions = { abcdefghijklmno = { @ZIP } }\nroutes = { \"$connect\" = { function = \"abcdefghijklmno\" } }\nglobal_name_suffix = \"eu-west-1\"",
            "With this global_name_suffix, these would be longer than the 64 characters that a role's name has at most: a123456789b123456789c123456789d123456789-abcdefghijklmno-eu-west-1. Shorten",
        ),
        (r#"stage = "$default""#, "stage takes 1 to 128 letters"),
        (r#"ip_address_type = "ipv6""#, r#"ip_address_type is "ipv4" or "dualstack""#),
        (r#"api_key_selection_expression = "$request.body.key""#, "api_key_selection_expression is"),
        (
            r#"route_selection_expression = "action""#,
            "route_selection_expression names a field of the message",
        ),
        (
            r#"route_selection_expression = "$request.header.request.body.action""#,
            "route_selection_expression names a field of the message",
        ),
        (r#"description = format("%01025d", 0)"#, "description has 1,024 characters at most"),
        (r#"stage_variables = { a-b = "c" }"#, "The names of stage_variables take letters"),
        (r#"stage_variables = { a = "b c" }"#, "The names of stage_variables take letters"),
        ("throttling = { burst_limit = 1.5 }", "throttling.burst_limit is a whole number"),
        (
            "throttling = { rate_limit = 0 }",
            "throttling limits are greater than 0: with 0 every request is answered 429",
        ),
        ("throttling = { burst_limit = 0 }", "throttling limits are greater than 0"),
        // Functions
        (
            r#"functions = { a_b = { package = "x.zip" } }"#,
            "A function's name takes 1 to 23 letters, digits and hyphens",
        ),
        ("functions = { f = {} }", "Each function takes one of package"),
        (
            r#"functions = { f = { package = "x.zip", s3 = { bucket = "b", key = "k" } } }"#,
            "Each function takes one of package",
        ),
        (
            r#"functions = { f = { arn = "arn:aws:apigateway:eu-central-1:lambda:path/x" } }"#,
            "A function's arn has the form",
        ),
        (
            r#"functions = { f = { @ARN, connections = ["read"] } }"#,
            "A function given by arn keeps its own role",
        ),
        ("functions = { f = { @ARN, manage_connections = [\"POST\"] } }", "A function given by arn keeps"),
        ("functions = { f = { @ARN, environment = { A = \"b\" } } }", "A function given by arn keeps"),
        ("functions = { f = { @ARN, tracing = true } }", "A function given by arn keeps"),
        ("functions = { f = { @ARN, provisioned_concurrency = 1 } }", "A function given by arn keeps"),
        ("history = {}\nfunctions = { f = { @ARN, history = [\"read\"] } }", "A function given by arn keeps"),
        (
            r#"functions = { f = { arn = "arn:aws:lambda:eu-central-1:123456789012:function:f:$LATEST" } }"#,
            "A function's arn has the form",
        ),
        (
            "functions = { f = { @ZIP, policy_statements = [{ actions = [], resources = [\"x\"] }] } }",
            "Each of a function's policy_statements has at least one",
        ),
        ("functions = { f = { @ZIP, connections = [\"scan\"] } }", "A function's connections takes"),
        (
            "history = {}\nfunctions = { f = { @ZIP, history = [\"delete\"] } }",
            "A function's history takes \"read\" and \"write\"",
        ),
        (
            "functions = { f = { @ZIP, manage_connections = [\"PUT\"] } }",
            "A function's manage_connections takes",
        ),
        ("functions = { f = { @ZIP, architecture = \"arm\" } }", "A function's architecture is"),
        ("functions = { f = { @ZIP, memory_size = 64 } }", "A function's memory_size is 128 to 10240 MB"),
        (
            "functions = { f = { @ZIP, timeout = 901 } }",
            "A function's timeout is 1 to 900 seconds; 29 at most",
        ),
        (
            "functions = { f = { @ZIP, timeout = 30 } }",
            "A route's function has a timeout of 29 seconds at most",
        ),
        (
            "functions = { f = { @ZIP, reserved_concurrency = 0 } }",
            "A function's reserved_concurrency is 1 or more, or -1",
        ),
        (
            "functions = { f = { @ZIP, reserved_concurrency = 1, provisioned_concurrency = 2 } }",
            "A function's provisioned_concurrency is 0 or more, and no more than its reserved_concurrency",
        ),
        (
            r#"functions = { f = { @ZIP, layers = ["a", "b", "c", "d", "e", "f"] } }"#,
            "A function takes 5 layers at most",
        ),
        (
            r#"functions = { f = { @ZIP, vpc = { subnet_ids = ["subnet-1"], security_group_ids = [] } } }"#,
            "A function's vpc takes at least one of subnet_ids and one of security_group_ids",
        ),
        (
            "functions = { f = { @ZIP, log_level = \"LOUD\" } }",
            "A function's log_level is TRACE, DEBUG, INFO, WARN or ERROR",
        ),
        (
            "functions = { f = { @ZIP, log_retention_days = 2 } }",
            "A function's log_retention_days takes what CloudWatch Logs offers: 1, 3, 5, 7,",
        ),
        (
            r#"functions = { f = { @ZIP, failure_destination = { arn = "arn:aws:s3:::bucket" } } }"#,
            "A function's failure_destination is the arn of an SQS queue",
        ),
        (
            "functions = { f = { @ZIP, runtime = \"python3.13\" } }",
            "A function of a managed runtime, such as Python or Node.js, has a handler",
        ),
        (
            "functions = { f = { @ZIP, environment = { CONNECTION_TABLE = \"mine\" } } }",
            "A function's environment leaves CONNECTION_TABLE",
        ),
        (
            "functions = { f = { @ZIP, environment = { HISTORY_TABLE = \"mine\" } } }",
            "A function's environment leaves CONNECTION_TABLE",
        ),
        // Routes
        ("routes = {}", "An API has 1 to 300 routes"),
        (
            r#"routes = { "$conect" = { function = "f" } }"#,
            "The route keys that start with $ are $connect, $disconnect and $default",
        ),
        (
            r#"routes = { connect = { function = "f" } }"#,
            "The routes of a connection's beginning and end are called $connect and $disconnect, with a $",
        ),
        (r#"routes = { "" = { mock = "x" } }"#, "A route key is not empty, and holds neither * nor ?"),
        (r#"routes = { "a*" = { mock = "x" } }"#, "A route key is not empty, and holds neither"),
        ("routes = { a = {} }", "Each route takes one of function"),
        (r#"routes = { a = { function = "f", mock = "x" } }"#, "Each route takes one of function"),
        (
            r#"routes = { a = { function = "g" } }"#,
            "These routes name a function that is not in functions: a (g).",
        ),
        (
            r#"routes = { "$connect" = { function = "f", two_way = true } }"#,
            "$connect and $disconnect cannot answer",
        ),
        (r#"routes = { "$disconnect" = { mock = "x" } }"#, "$connect and $disconnect cannot answer"),
        (
            r#"routes = { "$connect" = { queue = { @QUEUE, reply = "x" } } }"#,
            "$connect and $disconnect cannot answer",
        ),
        (
            "routes = { a = { queue = { @QUEUE }, two_way = true } }",
            "A queue or a service answers with the text of its reply",
        ),
        (r##"routes = { a = { mock = "#5" } }"##, "The text of a mock or a reply holds neither $ nor #"),
        (
            r#"routes = { a = { queue = { @QUEUE, reply = "5 $" } } }"#,
            "The text of a mock or a reply holds neither",
        ),
        (r#"routes = { a = { http = { url = "example.com" } } }"#, "The url of a route's http starts with"),
        (
            r#"routes = { a = { queue = { arn = "https://sqs/a/b" } } }"#,
            "The arn of a route's queue has the form",
        ),
        (
            r#"routes = { a = { service = { uri = "sqs:SendMessage", template = "", policy_statements = [@GRANT] } } }"#,
            "The uri of a route's service has the form",
        ),
        (
            r#"routes = { a = { function = "f", throttling_rate_limit = 0 } }"#,
            "A route's throttling limits are greater than 0",
        ),
        (
            r#"routes = { a = { function = "f", throttling_burst_limit = 1.5 } }"#,
            "A route's throttling_burst_limit is a whole number",
        ),
        (
            r#"routes = { a = { function = "f", operation_name = "" } }"#,
            "A route's operation_name has 1 to 64 characters",
        ),
        (
            r#"routes = { a = { function = "f", throttling_burst_limit = 0 } }"#,
            "A route's throttling limits are greater",
        ),
        (
            r#"routes = { a = { function = "f", request_model = "object" } }"#,
            "A route's request_model is a JSON schema",
        ),
        (
            r#"routes = { "$connect" = { function = "f", request_model = "{}" } }"#,
            "$connect and $disconnect carry no message that a request_model could check",
        ),
        (
            r#"routes = { a = { service = { uri = "arn:aws:apigateway:eu-central-1:sns:path/", template = "", policy_statements = [] } } }"#,
            "A route's service has at least one of policy_statements",
        ),
        (
            r#"routes = { a = { http = { url = "https://example.com", headers = { key = "plain" } } } }"#,
            "The value of a header is a text in single quotes",
        ),
        // The authorizer
        ("authorizer = {}", "authorizer takes either function"),
        (r#"authorizer = { function = "f", iam = true }"#, "authorizer takes either function"),
        (r#"authorizer = { function = "g" }"#, "The authorizer's function is not in functions"),
        (
            "authorizer = { function = \"f\" }\nfunctions = { f = { @ZIP, timeout = 30 }, g = { @ARN } }\nroutes = { \"$connect\" = { function = \"g\" } }",
            "The authorizer's function has a timeout of 29 seconds at most",
        ),
        (
            "authorizer = { iam = true }\nroutes = { \"$default\" = { function = \"f\" } }",
            "An authorizer is asked on $connect: add that to routes",
        ),
        (
            r#"authorizer = { function = "f", identity_sources = ["Authorization"] }"#,
            "An identity source is route.request.header.NAME",
        ),
        (
            r#"authorizer = { iam = true, identity_sources = ["route.request.header.A"] }"#,
            "With iam the signature is the identity",
        ),
        // The table
        ("connection_table = { shards = 0 }", "connection_table.shards, everyone_shards and former_shards"),
        ("connection_table = { shards = 1.5 }", "connection_table.shards, everyone_shards"),
        (
            "connection_table = { everyone_shards = 65 }",
            "connection_table.shards, everyone_shards and former_shards",
        ),
        (
            "connection_table = { former_shards = 0 }",
            "connection_table.shards, everyone_shards and former_shards",
        ),
        (
            r#"connection_table = { existing = { name = "t", arn = "a" }, point_in_time_recovery = true }"#,
            "An existing connection_table keeps its own configuration",
        ),
        // The history
        ("history = { seconds = 299 }", "history.seconds is a whole number from 300"),
        ("history = { seconds = 2592001 }", "history.seconds is a whole number from 300"),
        ("history = { seconds = 300.5 }", "history.seconds is a whole number from 300"),
        ("history = { messages = 0 }", "history.messages is a whole number from 1 to 1000"),
        ("history = { messages = 1001 }", "history.messages is a whole number from 1 to 1000"),
        ("history = { messages = 1.5 }", "history.messages is a whole number from 1 to 1000"),
        (
            r#"functions = { f = { @ZIP, history = ["write"] } }"#,
            "Without a history no function can read or write it",
        ),
        (
            "connection_table = null\nfunctions = { f = { @ZIP, connections = [\"read\"] } }",
            "Without a connection_table no function can have connections",
        ),
        // The domain
        (
            r#"domain = { name = "https://ws.example.com", hosted_zone = { id = "Z1" } }"#,
            "domain.name is a domain name",
        ),
        (r#"domain = { name = "ws.example.com" }"#, "A domain takes a certificate, or a hosted_zone"),
        (
            r#"domain = { name = "ws.example.com", hosted_zone = { id = "Z1" }, mapping_key = "/chat" }"#,
            "domain.mapping_key takes letters",
        ),
        (
            r#"domain = { name = "ws.example.com", hosted_zone = { id = "Z1" }, mapping_key = format("%0301d", 0) }"#,
            "domain.mapping_key has 300 characters at most",
        ),
        (
            r#"domain = { name = "ws.example.com", existing = true, hosted_zone = { id = "Z1" } }"#,
            "An existing domain has its certificate and its records",
        ),
        // Logs and alarms
        (
            "logging = { retention_days = 2 }",
            "logging.retention_days takes what CloudWatch Logs offers: 1, 3, 5, 7,",
        ),
        (
            r#"logging = { function_level = "LOUD" }"#,
            "logging.function_level is TRACE, DEBUG, INFO, WARN or ERROR",
        ),
        (r#"logging = { execution_level = "WARN" }"#, "logging.execution_level is OFF, ERROR or INFO"),
        ("logging = { data_trace = true }", "logging.data_trace writes into execution logs of level INFO"),
        (
            r#"logging = { access_logs = true, access_log_format = { a = format("%4000s", "x"), id = "$context.requestId" } }"#,
            "logging.access_log_format is 3 KB at most",
        ),
        (
            r#"logging = { access_logs = true, access_log_format = { a = "$context.status" } }"#,
            "logging.access_log_format has a field with $context.requestId",
        ),
        (
            r#"logging = { access_log_format = { a = "$context.requestId" } }"#,
            "logging.access_log_format is for access_logs",
        ),
        ("alarms = { function_errors = 0 }", "The thresholds of alarms are numbers greater than 0"),
        (r#"alarms = { function_errors = "few" }"#, "The thresholds of alarms are numbers greater than 0"),
        ("alarms = { functions_errors = 1 }", "alarms takes actions, client_errors, execution_errors"),
        (r#"alarms = { actions = "ops" }"#, "alarms.actions is a list of ARNs"),
        (
            r#"logging = { access_log_destination = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:all" } }"#,
            "logging.access_log_destination is for access_logs",
        ),
        (
            r#"logging = { access_logs = true, access_log_destination = { arn = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/mine" } }"#,
            "logging.access_log_destination is the arn of a log group, or of a Firehose stream",
        ),
        ("functions = { f = { @ARN, environment_key = { arn = \"k\" } } }", "A function given by arn keeps"),
    ],
};

const ACCOUNT_LOGGING: Module = Module {
    path: "modules/account-logging",
    arguments: &[],
    refused: &[(r#"name = "logs of all""#, "name takes 1 to 64 letters")],
};

const PUBLISHER: Module = Module {
    path: "modules/publisher",
    arguments: &[
        ("name", r#""updates""#),
        ("package", r#""../../../modules/publisher/tests/package.zip""#),
        (
            "websocket",
            r#"{ table_name = "t", shards = 1, management_endpoint = "https://example.com", policies = { read = "{}", delete = "{}", POST = "{}", DELETE = "{}" } }"#,
        ),
    ],
    refused: &[
        (r#"name = "my updates""#, "name takes 1 to 40 letters"),
        (r#"global_name_suffix = "eu west 1""#, "global_name_suffix takes 1 to 32 letters"),
        (
            "name = \"a123456789b123456789c123456789d123456789\"\nglobal_name_suffix = \"ap-southeast-2-z\"",
            "With this global_name_suffix, a123456789b123456789c123456789d123456789-publish-ap-southeast-2-z would be longer than the 64",
        ),
        (
            r#"websocket = { table_name = null, shards = 1, management_endpoint = "https://example.com", policies = {} }"#,
            "The websocket has no connection table",
        ),
        ("package = null", "The function takes either package"),
        (r#"s3 = { bucket = "b", key = "k" }"#, "The function takes either package"),
        (r#"architecture = "arm""#, r#"architecture is "arm64" or "x86_64""#),
        ("memory_size = 64", "memory_size is 128 to 10240 MB"),
        ("timeout = 9", "timeout is 10 to 900 seconds"),
        ("timeout = 901", "timeout is 10 to 900 seconds"),
        ("batch_size = 0", "batch_size is 1 to 10000"),
        ("batch_size = 11", "batch_size is 1 to 10000; beyond 10, Lambda asks for a batching_window_seconds"),
        ("batching_window_seconds = 301", "batching_window_seconds is 0 to 300"),
        ("maximum_concurrency = 3", "maximum_concurrency is 4 to 2000"),
        ("maximum_concurrency = 2001", "maximum_concurrency is 4 to 2000"),
        (
            "broadcasts = { rate_limit = 3 }",
            "broadcasts.rate_limit is a whole number, and at least its concurrency",
        ),
        ("broadcasts = { rate_limit = 5.5 }", "broadcasts.rate_limit is a whole number, and at least"),
        ("broadcasts = { concurrency = 1 }", "broadcasts.concurrency is a whole number from 2 to 1000"),
        ("broadcasts = { concurrency = 1001 }", "broadcasts.concurrency is a whole number from 2 to 1000"),
        ("queue = { max_receive_count = 0 }", "queue.max_receive_count is 1 to 1000"),
        ("queue = { retention_seconds = 59 }", "queue.retention_seconds is 60 to 1209600"),
        ("queue = { dead_letter_retention_seconds = 60 }", "queue.retention_seconds is 60 to 1209600"),
        ("queue = { dead_letter_retention_seconds = 1209601 }", "queue.retention_seconds is 60 to 1209600"),
        (r#"senders = [{ @QUEUE }]"#, "A sender's arn is that of an EventBridge rule"),
        (
            r#"logging = { function_level = "LOUD" }"#,
            "logging.function_level is TRACE, DEBUG, INFO, WARN or ERROR",
        ),
        ("alarms = { dead_letters = 0 }", "The thresholds of alarms are numbers greater than 0"),
        ("alarms = { dead_letter = 1 }", "alarms takes actions, dead_letters, oldest_message_seconds"),
        (r#"alarms = { actions = ["ops"] }"#, "alarms.actions is a list of ARNs"),
    ],
};

const GITHUB_DEPLOY_ROLE: Module = Module {
    path: "modules/github-deploy-role",
    arguments: &[
        ("name", r#""deploy""#),
        ("access", r#""deploy""#),
        ("repository", r#""owner/name""#),
        ("jobs", r#"["environment:dev"]"#),
        ("names", r#""chat-dev""#),
        ("state", r#"{ bucket = { arn = "arn:aws:s3:::state" }, keys = ["dev.tfstate"] }"#),
    ],
    refused: &[
        (r#"name = "to deploy""#, "name takes 1 to 64 letters"),
        (r#"name = "chat-dev-deploy""#, "name does not begin as the names of the stack"),
        (r#"access = "write""#, r#"access is "plan" or "deploy""#),
        (r#"repository = "https://github.com/owner/name""#, "repository is owner/name"),
        ("jobs = []", "jobs holds at least one of environment:NAME"),
        (r#"jobs = ["ref:refs/heads/*"]"#, "jobs holds at least one of environment:NAME"),
        (r#"jobs = ["pull_request"]"#, "A pull_request plans and does not deploy"),
        (r#"required_boundary = "bounds""#, "required_boundary is the ARN of a policy"),
        (r#"names = "*""#, "names takes 1 to 40 letters, digits and hyphens"),
        (
            r#"state = { bucket = { arn = "arn:aws:s3:::state" }, keys = [] }"#,
            "state.keys holds at least one key",
        ),
        (
            r#"state = { bucket = { arn = "arn:aws:s3:::state" }, keys = ["*"] }"#,
            "state.keys holds at least one key, and no patterns",
        ),
        (
            r#"statements = { read = [{ actions = [], resources = ["*"] }] }"#,
            "Each of statements has at least one of actions",
        ),
        (
            r#"statements = { write = [{ actions = ["*"], resources = ["*"] }] }"#,
            "Each of statements has at least one of actions",
        ),
        (
            r#"statements = { write = [{ actions = ["acm:*"], resources = ["certificate"] }] }"#,
            "Each of statements has at least one of actions",
        ),
        (
            r#"statements = { read = [{ actions = ["acm:DeleteCertificate"], resources = ["*"] }] }"#,
            "statements.read takes actions that read",
        ),
    ],
};

/// Short for what many cases need.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("@ARN", r#"arn = "arn:aws:lambda:eu-central-1:123456789012:function:f""#),
    ("@ZIP", r#"package = "../../../modules/websocket-api/tests/package.zip""#),
    ("@GRANT", r#"{ actions = ["a"], resources = ["b"] }"#),
    ("@QUEUE", r#"arn = "arn:aws:sqs:eu-central-1:123456789012:q""#),
];

/// The AWS provider plans without an account: nothing here is looked up.
const PROVIDER: &str = r#"
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}
"#;

struct Module {
    path: &'static str,
    arguments: &'static [(&'static str, &'static str)],
    /// What is wrong, and how the sentence begins that says so.
    refused: &'static [(&'static str, &'static str)],
}

#[test]
fn what_is_wrong_with_a_websocket_api_is_said() {
    WEBSOCKET_API.check();
}

/// Not a rule of the variable: to destroy, no package is needed.
#[test]
fn a_package_that_is_missing_is_said() {
    let call = WEBSOCKET_API.call("missing", r#"functions = { f = { package = "no-such.zip" } }"#);
    let refusals = refusals_of("missing-package", [("missing".to_owned(), call)]);
    let [(_, refusal)] = refusals.as_slice() else { panic!("one refusal, not {refusals:?}") };
    let sentence = r#"There is no package at no-such.zip, for the function "f". Build it first (`make build`), or correct the path."#;
    assert_eq!(refusal, sentence);
}

#[test]
fn what_is_wrong_with_account_logging_is_said() {
    ACCOUNT_LOGGING.check();
}

#[test]
fn what_is_wrong_with_a_publisher_is_said() {
    PUBLISHER.check();
}

#[test]
fn what_is_wrong_with_github_deploy_role_is_said() {
    GITHUB_DEPLOY_ROLE.check();
}

impl Module {
    fn check(&self) {
        let refusals = self.plan();
        let accepted = refusals.get("accepted");
        assert!(accepted.is_none(), "what is right is refused: {accepted:?}");
        let mut rules_met = BTreeSet::new();
        for (number, (argument, sentence)) in self.refused.iter().enumerate() {
            let said = refusals.get(&case(number)).unwrap_or_else(|| panic!("accepted: {argument}"));
            for refusal in said {
                assert!(refusal.starts_with(sentence), "{argument} is refused with: {refusal}");
                rules_met.extend(rule(refusal));
            }
        }
        assert!(refusals.len() == self.refused.len(), "something else is refused: {refusals:?}");
        let rules = self.rules();
        let missed: Vec<_> = rules.difference(&rules_met).collect();
        assert!(
            missed.is_empty(),
            "no case breaks the rules at lines {missed:?} of {}/variables.tf",
            self.path
        );
    }

    /// What Terraform says of each case.
    fn plan(&self) -> BTreeMap<String, Vec<String>> {
        let name = Path::new(self.path).file_name().unwrap().to_str().unwrap();
        let mut refusals: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // Twice: while other rules are broken, Terraform does not come to those that read a second variable.
        for _ in 0..2 {
            let cases =
                self.refused.iter().enumerate().map(|(number, (argument, _))| (case(number), *argument));
            let uses: Vec<_> = cases
                .filter(|(case, _)| !refusals.contains_key(case))
                .chain([("accepted".to_owned(), "")])
                .map(|(case, argument)| (case.clone(), self.call(&case, argument)))
                .collect();
            for (file, detail) in refusals_of(name, uses) {
                refusals.entry(file).or_default().push(detail);
            }
        }
        refusals
    }

    /// A use of the module, with one argument put in the place of what is right.
    fn call(&self, name: &str, argument: &str) -> String {
        let mut argument = argument.to_owned();
        for (short, long) in ABBREVIATIONS {
            argument = argument.replace(short, long);
        }
        let given: Vec<_> = argument.lines().filter_map(|line| line.split(' ').next()).collect();
        let mut call = format!("module \"{name}\" {{\n  source = \"../../../{}\"\n  {argument}\n", self.path);
        for (key, value) in self.arguments.iter().filter(|(key, _)| !given.contains(key)) {
            writeln!(call, "  {key} = {value}").unwrap();
        }
        call + "}\n"
    }

    /// The lines where a rule begins.
    fn rules(&self) -> BTreeSet<usize> {
        let text = fs::read_to_string(repository().join(self.path).join("variables.tf")).unwrap();
        let lines = text.lines().enumerate();
        lines.filter(|(_, line)| line.trim() == "validation {").map(|(number, _)| number + 1).collect()
    }
}

fn case(number: usize) -> String {
    format!("case_{number:02}")
}

/// Plans a stack of these files, by name, and gives each refusal with the name of the file that it is about.
fn refusals_of(stack: &str, files: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let folder = repository().join(".local/refusals").join(stack);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("provider.tf"), PROVIDER).unwrap();
    for (name, content) in files {
        fs::write(folder.join(name + ".tf"), content).unwrap();
    }
    let plugins = env::var("TF_PLUGIN_DIR").map(|folder| format!("-plugin-dir={folder}"));
    let init = terraform(&folder, ["init", "-input=false"].into_iter().chain(plugins.as_deref()));
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let plan = String::from_utf8(terraform(&folder, ["plan", "-json", "-input=false"]).stdout).unwrap();
    let messages = plan.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["diagnostic"].take());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    messages
        .filter(|diagnostic| diagnostic["severity"] == "error")
        .map(|diagnostic| {
            let file = text(&diagnostic["range"]["filename"]);
            (file.trim_end_matches(".tf").to_owned(), text(&diagnostic["detail"]))
        })
        .collect()
}

/// The line of the rule that a refusal names as its last words: `…/variables.tf:LINE,COLUMN`.
fn rule(refusal: &str) -> Option<usize> {
    refusal.rsplit_once("variables.tf:")?.1.split(',').next()?.parse().ok()
}

fn terraform<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Output {
    let program = env::var_os("TERRAFORM").unwrap_or_else(|| "terraform".into());
    Command::new(program).current_dir(folder).args(arguments).output().expect("Terraform runs")
}
