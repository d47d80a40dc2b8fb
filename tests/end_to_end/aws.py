"""Calls AWS in the account of the environment, as botocore names it, and prints the answer as JSON.

python aws.py SERVICE OPERATION PARAMETERS
"""

import json
import sys

import botocore.session

service, operation, parameters = sys.argv[1:]
client = botocore.session.get_session().create_client(service)
print(json.dumps(getattr(client, operation)(**json.loads(parameters)), default=str))
