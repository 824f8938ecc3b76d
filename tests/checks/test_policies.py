"""What the comparison of policies and calls passes and what it must find: calls too many and too few, wider statements,
other prefixes, statements that it does not understand.

    tests/python -m unittest discover -s tests/checks
"""

import json
import tempfile
import unittest
from pathlib import Path

import policies
from checkout import Missing, Repo
from policies import Permission

ROOT = Path(__file__).resolve().parents[2]

SENDER = """
data "aws_iam_policy_document" "sender" {
  statement {
    sid = "Send" # to one [queue
    actions = [
      "sqs:GetQueueUrl",
      "sqs:SendMessage",
    ]
    resources = [module.queue.arn]
  }

  statement {
    actions   = ["s3:ListBucket"]
    resources = [module.lake.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["raw/*"]
    }
  }
}
"""
READER = """
data "aws_iam_policy_document" "reader" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = [for prefix in ["raw", "_commits"] : "${module.lake.arn}/${prefix}/*"]
  }

  statement {
    actions   = ["s3:ListBucket"]
    resources = [module.lake.arn]
  }
}
"""

EVENTS = "sqs:us-east-1:000000000000:events"

# Caller, operation, what it is on, prefix: what the two need, as their services would call it.
CALLS = (
    ("sender", "GetQueueUrl", EVENTS, None),
    ("sender", "SendMessageBatch", EVENTS, None),
    ("sender", "ListObjectsV2", "s3:::lake", "raw/year=0000/"),
    ("reader", "GetObject", "s3:::lake/_commits/checkpoint.json", None),
    ("reader", "PutObject", "s3:::lake/_commits/checkpoint.json", None),
    ("reader", "PutObject", "s3:::lake/raw/year=2026/part-1.jsonl", None),
    ("reader", "HeadObject", "s3:::lake/raw/year=2026/part-1.jsonl", None),
    ("reader", "ListObjectsV2", "s3:::lake", "raw/"),
)


def log_of(calls):
    """A log of local-aws with those requests, and other lines among them."""
    lines = ['2026-11-21T15:00:00Z DEBUG local_aws::s3: event="refused" operation="GetObject" code="NoSuchKey"']
    for caller, operation, on, prefix in calls:
        fields = {"caller": caller, "service": on.split(":")[0], "operation": operation, "resource": f"arn:aws:{on}"}
        fields |= {"prefix": prefix} if prefix is not None else {}
        text = " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items())
        lines.append(f'2026-11-21T15:00:00Z DEBUG local_aws::dispatch: event="request" {text}')
    return "\n".join(lines)


def differences(text=SENDER + READER, calls=CALLS):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / policies.POLICIES
        path.parent.mkdir()
        path.write_text(text)
        needs = policies.needed(policies.calls(log_of(calls), "events", "events-dlq", "lake"))
        return list(policies.differences(policies.allowed(Repo(folder)), needs))


class Policies(unittest.TestCase):
    def spoilt(self, old, new):
        text = SENDER + READER
        self.assertIn(old, text)
        return differences(text.replace(old, new, 1))

    def test_what_is_needed_and_no_more_is_no_difference(self):
        self.assertEqual(differences(), [])

    def test_the_policies_of_this_checkout_are_understood(self):
        allowed = policies.allowed(Repo(ROOT))
        self.assertEqual(sorted(allowed), ["aggregator", "alerts", "batch_consumer", "ingest", "operator", "query"])
        self.assertIn(Permission("s3:ListBucket", policies.LAKE, "raw/*"), allowed["batch_consumer"])
        self.assertIn(Permission("s3:PutObject", f"{policies.LAKE}/_schema/*"), allowed["aggregator"])
        self.assertIn(Permission("sqs:SendMessage", policies.DLQ), allowed["batch_consumer"])
        self.assertIn(Permission("s3:DeleteObject", f"{policies.LAKE}/_alerts/log/*"), allowed["alerts"])

    def test_a_call_that_is_not_allowed_is_found(self):
        for call, said in (
            (("sender", "PurgeQueue", EVENTS, None), "sender calls sqs:PurgeQueue on module.queue.arn, which"),
            (("sender", "SendMessage", f"{EVENTS}-dlq", None), "sqs:SendMessage on module.queue.dlq_arn"),
            (("sender", "SendMessage", f"{EVENTS}2", None), f"sqs:SendMessage on arn:aws:{EVENTS}2"),
            (("sender", "ListObjectsV2", "s3:::lake", "curated/"), "s3:ListBucket on module.lake.arn with prefix curated/*"),
            (("sender", "ListObjectsV2", "s3:::lake", None), "s3:ListBucket on module.lake.arn, which"),
            (("reader", "DeleteObjects", "s3:::lake", None), "s3:DeleteObject on module.lake.arn"),
            (("reader", "PutObject", "s3:::lake/_aside/1.jsonl", None), "s3:PutObject on module.lake.arn/_aside/*"),
            (("reader", "PutObject", "s3:::lakes/raw/1", None), "s3:PutObject on arn:aws:s3:::lakes/raw/1"),
            (("stranger", "GetQueueUrl", EVENTS, None), "stranger calls AWS"),
        ):
            with self.subTest(call):
                found = differences(calls=(*CALLS, call))
                self.assertEqual(len(found), 1, found)
                self.assertIn(said, found[0])

    def test_what_is_allowed_and_not_called_is_found(self):
        # The GET of a key that was not there needs the listing without a condition.
        for left_out, said in (
            (1, ["sender sqs:SendMessage on module.queue.arn"]),
            (2, ["sender s3:ListBucket on module.lake.arn with prefix raw/*"]),
            (3, ["reader s3:GetObject on module.lake.arn/_commits/*", "s3:ListBucket on module.lake.arn, which"]),
            (6, ["s3:GetObject on module.lake.arn/raw/*, which it does not call: only on module.lake.arn/_commits/*"]),
        ):
            with self.subTest(CALLS[left_out]):
                found = differences(calls=CALLS[:left_out] + CALLS[left_out + 1 :])
                self.assertEqual(len(found), len(said), found)
                for one, part in zip(found, said, strict=True):
                    self.assertIn(f"{policies.POLICIES} allows", one)
                    self.assertIn(part, one)

    def test_deletes_are_of_the_keys_that_are_gone(self):
        calls = [policies.Call("reader", "s3:DeleteObjects", policies.LAKE)]
        for deleted, on in ((("_commits/1.json",), "/_commits/1.json"), ((), "")):
            need = policies.needed(calls, deleted)
            self.assertEqual(need, {"reader": {Permission("s3:DeleteObject", policies.LAKE + on)}})
        for allowed, found in (("_commits/*", 0), ("raw/*", 2)):
            allowed = {"reader": {Permission("s3:DeleteObject", f"{policies.LAKE}/{allowed}")}}
            need = policies.needed(calls, ("_commits/1.json",))
            self.assertEqual(len(list(policies.differences(allowed, need))), found)

    def test_an_action_more_is_found(self):
        found = self.spoilt('"sqs:SendMessage",', '"sqs:SendMessage",\n      "sqs:PurgeQueue",')
        said = "allows sender sqs:PurgeQueue on module.queue.arn, which it does not call"
        self.assertEqual(found, [f"{policies.POLICIES} {said}"])
        found = self.spoilt('"s3:PutObject"]', '"s3:PutObject", "s3:*"]')
        self.assertEqual(len(found), 2, found)

    def test_an_action_less_is_found(self):
        found = self.spoilt('      "sqs:GetQueueUrl",\n', "")
        said = "sender calls sqs:GetQueueUrl on module.queue.arn"
        self.assertEqual(found, [f"{said}, which {policies.POLICIES} does not allow"])

    def test_another_prefix_is_found_from_both_sides(self):
        for old, new in (('= ["raw/*"]', '= ["_raw/*"]'), ('["raw", "_commits"]', '["raw", "_commit"]')):
            with self.subTest(new):
                found = self.spoilt(old, new)
                self.assertTrue(any("does not allow" in one for one in found), found)
                self.assertTrue(any("does not call" in one for one in found), found)

    def test_a_statement_that_reaches_further_is_found(self):
        for old, new in (
            ('["raw", "_commits"]', '["raw", "_commits", "curated"]'),
            ("${prefix}/*", "*"),
            ("${prefix}/*", "${prefix}*"),
            ('values   = ["raw/*"]', 'values   = ["*"]'),
            (SENDER[SENDER.index("    condition") : SENDER.index("  }\n}")], ""),
        ):
            with self.subTest(new):
                found = self.spoilt(old, new)
                self.assertTrue(found and all("does not call" in one for one in found), found)

    def test_a_get_of_a_key_that_was_deleted_needs_the_listing(self):
        calls = [call for call in CALLS if call[1:3] != ("GetObject", "s3:::lake/_commits/checkpoint.json")]
        on = "s3:::lake/_commits/checkpoint.json"
        calls += [("setup", "DeleteObject", on, None), ("reader", "GetObject", on, None)]
        self.assertEqual(differences(calls=calls), ["setup calls AWS, and terraform/policies.tf has nothing for it"])

    def test_what_is_not_understood_is_no_policy(self):
        for old, new in (
            ('sid = "Send"', 'effect = "Deny"'),
            ('  statement {\n    sid', '  dynamic "statement" {\n    sid'),
            ('  statement {\n    sid', '  source_policy_documents = []\n  statement {\n    sid'),
            ("[module.queue.arn]", '["*"]'),
            ("[module.queue.arn]", "local.queues"),
            ('["s3:GetObject", "s3:PutObject"]', 'concat(local.reads, ["s3:PutObject"])'),
            ('"StringLike"', '"StringNotLike"'),
            ('"s3:prefix"', '"s3:delimiter"'),
            ('["raw/*"]', '["raw/*", "curated/*"]'),
        ):
            with self.subTest(new), self.assertRaises(Missing):
                self.spoilt(old, new)

    def test_no_document_is_no_policy(self):
        with self.assertRaises(Missing):
            differences("")


if __name__ == "__main__":
    unittest.main()
