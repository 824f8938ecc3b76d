#!/usr/bin/env python3
"""Creates the queue, its dead-letter queue and the lake's bucket on LocalStack; running it again changes nothing.

LocalStack's container runs every file of /etc/localstack/init/ready.d once it is up, and `localstack/up` runs this one
when it starts LocalStack from PyPI. The names come from QUEUE_NAME, DLQ_NAME and LAKE_BUCKET, as the services' do, and
the endpoint from AWS_ENDPOINT_URL.
"""

import contextlib
import json
import os

import boto3

DAY = 24 * 60 * 60

# Both queues keep a message for SQS's maximum, so that an outage of the consumer, or a dead letter nobody looked at
# over the holidays, costs nothing.
RETENTION = str(14 * DAY)

# A message comes back this many seconds after its consumer died ...
VISIBILITY_TIMEOUT = "60"
# ... and after this many deliveries goes to the dead-letter queue.
MAX_RECEIVE_COUNT = "5"
# Receives wait this many seconds for a message: SQS's maximum, since an empty receive is billed too.
LONG_POLL = "20"


def queue(sqs, name, attributes):
    """Creates the queue `name`, or finds it, gives it `attributes`, and returns its URL.

    The attributes go in a call of their own: CreateQueue refuses a queue that exists with others.
    """
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return url


def bucket(s3, name, region):
    """Creates the bucket `name` unless it is there already. us-east-1 is the one region that must not be named."""
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, **where)


def main():
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    region = os.environ.get("AWS_REGION", "us-east-1")
    # LocalStack takes any credentials. These are fixed, so that real ones are never sent to it.
    account = {
        "endpoint_url": endpoint,
        "region_name": region,
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
    }
    sqs = boto3.client("sqs", **account)
    s3 = boto3.client("s3", **account, config=boto3.session.Config(s3={"addressing_style": "path"}))

    queue_name = os.environ.get("QUEUE_NAME", "headwater-events")
    dlq_name = os.environ.get("DLQ_NAME", "headwater-events-dlq")
    lake = os.environ.get("LAKE_BUCKET", "headwater-lake")

    common = {
        "MessageRetentionPeriod": RETENTION,
        "VisibilityTimeout": VISIBILITY_TIMEOUT,
        "ReceiveMessageWaitTimeSeconds": LONG_POLL,
    }
    dlq_url = queue(sqs, dlq_name, common)
    dlq = sqs.get_queue_attributes(QueueUrl=dlq_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": dlq, "maxReceiveCount": MAX_RECEIVE_COUNT})
    queue(sqs, queue_name, {**common, "RedrivePolicy": redrive})
    bucket(s3, lake, region)
    print(f"queues {queue_name} and {dlq_name}, bucket {lake}: there")


# Not under `if __name__ == "__main__"`: LocalStack executes the file's text, and its name is another one then.
main()
