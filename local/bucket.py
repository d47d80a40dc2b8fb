"""Makes an S3 bucket.

Usage: bucket.py NAME
"""

import sys

import botocore.session

botocore.session.get_session().create_client("s3").create_bucket(Bucket=sys.argv[1])
