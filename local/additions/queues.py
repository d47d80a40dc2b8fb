"""Who may send to a queue, and who may take from it, as AWS has it.

- Who may send, receive or delete a message may do so in batches: IAM knows no other actions.
- A queue hears of an EventBridge rule only where its policy lets the rule send.
- An event source mapping is refused where the function's role may not read the source, and where the queue would hand a
  message out again while the function still has it.
- What policies ask about the transport is answered as if it were HTTPS, which nothing here speaks.
"""

import logging

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.arn import parse_arn
from ministack.core.responses import error_response_json, get_account_id, get_region
from ministack.services import eventbridge, lambda_svc, sqs

from additions import instead_of

logger = logging.getLogger("events")


@instead_of(iam_actions, "extract_iam_action")
def extract_iam_action(extract, service, *request):
    """AWS asks for SendMessage where a batch is sent, and so on.
    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-batch-api.html
    For upstream.
    """
    action = extract(service, *request)
    return action.removesuffix("Batch") if service == "sqs" and action else action


@instead_of(iam_evaluator, "_resolve_condition_key")
def resolve_condition_key(resolve, key, context):
    """At AWS aws:SecureTransport tells HTTPS from HTTP. Here it is always true.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    Ours for good.
    """
    return "true" if key.lower() == "aws:securetransport" else resolve(key, context)


@instead_of(eventbridge, "_invoke_target")
def invoke_target(invoke, target, event, rule, *rest):
    """AWS asks the queue's policy whether the rule may send. (This does not ask about a role of the target.)
    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    For upstream.
    """
    arn = target.get("Arn", "")
    if arn.split(":")[2:3] == ["sqs"] and not sqs.queue_policy_allows(
        arn, "events.amazonaws.com", rule.get("Arn", ""), get_account_id()
    ):
        logger.warning("Rule %s may not send to %s: its policy does not say so", rule.get("Name"), arn)
        return
    invoke(target, event, rule, *rest)


# What the function's role has to be allowed, and how AWS says that it is not.
READS = {
    "sqs": (
        ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"],
        "The provided execution role does not have permissions to call {action} on SQS",
    ),
    "dynamodb": (
        ["GetRecords", "GetShardIterator", "DescribeStream", "ListStreams"],
        "Cannot access stream {source}. Please ensure the role can perform the GetRecords, GetShardIterator, "
        "DescribeStream, and ListStreams Actions on your stream in IAM.",
    ),
}


@instead_of(lambda_svc, "_create_esm")
def create_event_source_mapping(create, data):
    """AWS refuses a mapping with too short a visibility timeout, a large batch without a window, or too few grants.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    (for the grants: https://github.com/aws/aws-cdk/issues/6770). For upstream.
    """
    refusal = why_not(data)
    return error_response_json("InvalidParameterValueException", refusal, 400) if refusal else create(data)


def why_not(data):
    """Why AWS would not make this mapping; none where it would, or where MiniStack knows why not."""
    name, _ = lambda_svc._resolve_request_scoped_name_and_qualifier(data.get("FunctionName", ""))
    function = lambda_svc._functions.get(name)
    source = data.get("EventSourceArn", "")
    service = source.split(":")[2] if source.count(":") >= 5 else None
    if function is None or service not in READS:
        return None
    config = function["config"]
    if service == "sqs":
        queue = sqs._queue_by_arn(source)
        visibility, timeout = int(queue["attributes"]["VisibilityTimeout"]) if queue else 0, config["Timeout"]
        if queue and visibility < timeout:
            return f"Queue visibility timeout: {visibility} seconds is less than Function timeout: {timeout} seconds"
        if data.get("BatchSize", 10) > 10 and not data.get("MaximumBatchingWindowInSeconds"):
            return "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    actions, refusal = READS[service]
    denied = (action for action in actions if app.AUTH and not may(config["Role"], f"{service}:{action}", source))
    action = next(denied, None)
    return refusal.format(action=action, source=source) if action else None


def may(role, action, resource):
    context = iam_evaluator.EvalContext(
        principal_arn=role,
        principal_type="AssumedRole",
        principal_account=parse_arn(role).account_id,
        action=action,
        resource_arn=resource,
        region=get_region(),
    )
    policies = iam_evaluator._gather_role_policies(role.rpartition("/")[2], context.principal_account)
    return iam_evaluator.evaluate(context, policies).decision == "Allow"
