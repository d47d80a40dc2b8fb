"""Alarms: everything that was asked for is kept, and told in the Query protocol too, which Terraform speaks.

What the Query protocol's parameters and its XML look like is known from botocore's model of the service.
"""

import json
from datetime import datetime, timezone
from itertools import count, takewhile
from xml.sax.saxutils import escape

import botocore.session
from ministack.services import cloudwatch

from additions import instead_of

SERVICE = botocore.session.get_session().get_service_model("cloudwatch")
PUT, DESCRIBE = (SERVICE.operation_model(name) for name in ("PutMetricAlarm", "DescribeAlarms"))
TYPES = {"integer": int, "double": float, "boolean": lambda text: text == "true"}

# What MiniStack leaves out, or has a value for that nobody asked for.
FIELDS = (
    "EvaluateLowSampleCountPercentile",
    "InsufficientDataActions",
    "Metrics",
    "Period",
    "Statistic",
    "ThresholdMetricId",
)


@instead_of(cloudwatch, "_put_metric_alarm")
def put_metric_alarm(put, params, data, is_cbor, is_json=False):
    """AWS keeps what was asked for, metric math too, and gives such an alarm no period or statistic of its own.
    Source: https://docs.aws.amazon.com/goto/WebAPI/monitoring-2010-08-01/PutMetricAlarm
    For upstream.
    """
    asked = data if is_cbor or is_json else read(PUT.input_shape, params)
    answer = put(params, data, is_cbor, is_json)
    if answer[0] == 200:
        alarm = cloudwatch._alarms[asked["AlarmName"]]
        for name in FIELDS:
            alarm.pop(name, None)
        alarm |= {name: asked[name] for name in FIELDS if name in asked}
    return answer


@instead_of(cloudwatch, "_describe_alarms")
def describe_alarms(describe, params, data, is_cbor, is_json=False):
    """AWS tells every field of an alarm, in the Query protocol too. MiniStack leaves some out there.
    Source: https://docs.aws.amazon.com/goto/WebAPI/monitoring-2010-08-01/DescribeAlarms
    For upstream.
    """
    if is_cbor or is_json:
        return describe(params, data, is_cbor, is_json)
    status, _, body = describe({}, read(DESCRIBE.input_shape, params), is_cbor=False, is_json=True)
    if status != 200:
        return describe(params, data, is_cbor)
    alarms = write(DESCRIBE.output_shape, json.loads(body))
    return cloudwatch._xml(200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{alarms}</DescribeAlarmsResult>")


def read(shape, params, name=""):
    """What the parameters of this name hold."""
    path = f"{name}." if name else ""

    def is_given(name):
        return any(param == name or param.startswith(f"{name}.") for param in params)

    if shape.type_name == "structure":
        return {k: read(member, params, path + k) for k, member in shape.members.items() if is_given(path + k)}
    if shape.type_name == "list":
        members = takewhile(is_given, (f"{path}member.{number}" for number in count(1)))
        return [read(shape.member, params, member) for member in members]
    return TYPES.get(shape.type_name, str)(cloudwatch._p(params, name))


def write(shape, value):
    if shape.type_name == "structure":
        given = ((k, member) for k, member in shape.members.items() if value.get(k) is not None)
        return "".join(f"<{k}>{write(member, value[k])}</{k}>" for k, member in given)
    if shape.type_name == "list":
        return "".join(f"<member>{write(shape.member, member)}</member>" for member in value)
    if shape.type_name == "timestamp":
        return datetime.fromtimestamp(value, timezone.utc).isoformat()
    return str(value).lower() if shape.type_name == "boolean" else escape(str(value))
