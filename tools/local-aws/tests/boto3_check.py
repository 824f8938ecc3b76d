#!/usr/bin/env python3
"""Checks an emulated SQS and S3 with boto3: boto3_check.py http://127.0.0.1:4566

Prints one line per check and exits 1 at the first that fails. Needs boto3
(pip install boto3); credentials and region are set here.
"""

import hashlib
import io
import sys
import threading
import time
import uuid
import zlib

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

UNIQUE = uuid.uuid4().hex[:12]
MEBIBYTE = 1024 * 1024


def client(service, endpoint):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def refused(call, **arguments):
    """The code of the error that a call must end in."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError("the call should have been refused")


def messages_are_sent_received_and_deleted(sqs):
    url = sqs.create_queue(QueueName=f"boto-{UNIQUE}")["QueueUrl"]
    # boto3 compares the MD5 of body and attributes by itself.
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="grüße 🚗",
        MessageAttributes={
            "codec": {"DataType": "String", "StringValue": "zstd"},
            "blob": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
        },
    )
    received = sqs.receive_message(
        QueueUrl=url,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
        WaitTimeSeconds=5,
    )["Messages"]
    assert [m["MessageId"] for m in received] == [sent["MessageId"]]
    message = received[0]
    assert message["Body"] == "grüße 🚗"
    assert message["MessageAttributes"]["blob"]["BinaryValue"] == bytes(range(256))
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def batches_succeed_and_fail_entry_by_entry(sqs):
    url = sqs.create_queue(QueueName=f"boto-batch-{UNIQUE}")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": f"body {n}"} for n in range(10)]
    sent = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert len(sent["Successful"]) == 10 and not sent.get("Failed")
    messages = []
    while len(messages) < 10:
        page = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages += page.get("Messages", [])
    deletes = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
    deletes[9]["ReceiptHandle"] = "garbage"
    deleted = sqs.delete_message_batch(QueueUrl=url, Entries=deletes)
    assert len(deleted["Successful"]) == 9
    assert [f["Code"] for f in deleted["Failed"]] == ["ReceiptHandleIsInvalid"]
    eleven = [{"Id": str(n), "MessageBody": "x"} for n in range(11)]
    code = refused(sqs.send_message_batch, QueueUrl=url, Entries=eleven)
    assert code == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", code
    code = refused(sqs.send_message, QueueUrl=url, MessageBody="x" * (MEBIBYTE + 1))
    assert code == "InvalidParameterValue", code


def errors_have_their_names(sqs):
    code = refused(sqs.get_queue_url, QueueName=f"missing-{UNIQUE}")
    assert code == "AWS.SimpleQueueService.NonExistentQueue", code
    try:
        sqs.get_queue_url(QueueName=f"missing-{UNIQUE}")
    except sqs.exceptions.QueueDoesNotExist:
        pass


def a_long_poll_is_woken(sqs):
    url = sqs.create_queue(QueueName=f"boto-poll-{UNIQUE}")["QueueUrl"]
    sender = threading.Timer(0.3, lambda: sqs.send_message(QueueUrl=url, MessageBody="wake"))
    sender.start()
    start = time.monotonic()
    received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]
    assert received[0]["Body"] == "wake"
    assert time.monotonic() - start < 5
    sender.join()


def objects_are_put_listed_and_read(s3, bucket):
    body = b"line 1\nline 2\n"
    put = s3.put_object(
        Bucket=bucket,
        Key="raw/2026/part 1.jsonl",
        Body=body,
        ContentType="application/x-ndjson",
        Metadata={"events": "2"},
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="raw/2026/part 1.jsonl")
    assert got["Body"].read() == body
    assert got["Metadata"] == {"events": "2"}
    part = s3.get_object(Bucket=bucket, Key="raw/2026/part 1.jsonl", Range="bytes=5-7")
    assert part["Body"].read() == b"1\nl" and part["ContentRange"] == "bytes 5-7/14"
    for n in range(5):
        s3.put_object(Bucket=bucket, Key=f"raw/2027/part-{n}", Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix="raw/", PaginationConfig={"PageSize": 2}
    )
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert keys == ["raw/2026/part 1.jsonl"] + [f"raw/2027/part-{n}" for n in range(5)]
    top = s3.list_objects_v2(Bucket=bucket, Prefix="raw/", Delimiter="/")
    prefixes = [entry["Prefix"] for entry in top["CommonPrefixes"]]
    assert prefixes == ["raw/2026/", "raw/2027/"], prefixes
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 6
    code = refused(s3.get_object, Bucket=bucket, Key="missing")
    assert code == "NoSuchKey", code
    code = refused(s3.head_object, Bucket=bucket, Key="missing")
    assert code == "404", code


def writes_can_be_conditional(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
    code = refused(s3.put_object, Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*")
    assert code == "PreconditionFailed", code
    s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfMatch=first["ETag"])
    code = refused(s3.put_object, Bucket=bucket, Key="once", Body=b"3", IfMatch=first["ETag"])
    assert code == "PreconditionFailed", code
    assert s3.get_object(Bucket=bucket, Key="once")["Body"].read() == b"2"


def digests_are_checked(s3, bucket):
    code = refused(
        s3.put_object, Bucket=bucket, Key="bad", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg=="
    )
    assert code == "BadDigest", code
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        s3.put_object(Bucket=bucket, Key="sum", Body=b"checked", ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=bucket, Key="sum", ChecksumMode="ENABLED")
        assert got["Body"].read() == b"checked"
        assert got[f"Checksum{algorithm}"]


def a_stream_is_stored_plain(s3, bucket):
    # A body that can be read once goes as aws-chunked with a trailer.
    body = bytes(range(256)) * 4096
    s3.put_object(Bucket=bucket, Key="stream", Body=io.BytesIO(body), ChecksumAlgorithm="CRC32")
    got = s3.get_object(Bucket=bucket, Key="stream")
    assert got["Body"].read() == body
    assert "aws-chunked" not in got.get("ContentEncoding", "")


def large_files_go_in_parts(s3, bucket):
    body = b"0123456789abcdef" * MEBIBYTE
    config = TransferConfig(multipart_threshold=5 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE)
    s3.upload_fileobj(io.BytesIO(body), bucket, "large", Config=config)
    head = s3.head_object(Bucket=bucket, Key="large")
    assert head["ETag"].endswith('-4"') and head["ContentLength"] == len(body)
    target = io.BytesIO()
    s3.download_fileobj(bucket, "large", target, Config=config)
    assert zlib.crc32(target.getvalue()) == zlib.crc32(body)
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy", Config=config)
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentLength"] == len(body)


def everything_can_be_deleted(s3, bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [{"Key": entry["Key"]} for page in pages for entry in page.get("Contents", [])]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    assert len(deleted["Deleted"]) == len(keys)
    s3.delete_bucket(Bucket=bucket)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sqs, s3 = client("sqs", sys.argv[1]), client("s3", sys.argv[1])
    bucket = f"boto-{UNIQUE}"
    s3.create_bucket(Bucket=bucket)
    checks = [
        (messages_are_sent_received_and_deleted, (sqs,)),
        (batches_succeed_and_fail_entry_by_entry, (sqs,)),
        (errors_have_their_names, (sqs,)),
        (a_long_poll_is_woken, (sqs,)),
        (objects_are_put_listed_and_read, (s3, bucket)),
        (writes_can_be_conditional, (s3, bucket)),
        (digests_are_checked, (s3, bucket)),
        (a_stream_is_stored_plain, (s3, bucket)),
        (large_files_go_in_parts, (s3, bucket)),
        (everything_can_be_deleted, (s3, bucket)),
    ]
    for check, arguments in checks:
        try:
            check(*arguments)
        except Exception as error:
            sys.exit(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
        print(f"ok {check.__name__.replace('_', ' ')}")


if __name__ == "__main__":
    main()
