"""What terraform/policies.tf allows, and how what was called is held against it, in both directions.

A call needs a statement that has its action, its resource and, where the statement has a condition, its prefix. And
what a statement allows must have been called: on that queue, or in that folder of the lake and no wider one.
"""

import dataclasses
import json
import re
from fnmatch import fnmatchcase

from checkout import Missing, blocks, part

POLICIES = "terraform/policies.tf"
# How policies.tf names what local-aws names by ARN.
QUEUE, DLQ, LAKE = "module.queue.arn", "module.queue.dlq_arn", "module.lake.arn"

# Operations whose permission has another name (SQS and S3 API references, read 2026-11-21).
PERMISSIONS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:DeleteObjects": "s3:DeleteObject",
}

# All that a document here may have: what is not understood would be allowed unseen.
UNDERSTOOD = {"statement", "sid", "actions", "resources", "condition", "test", "variable", "values"}


@dataclasses.dataclass(frozen=True)
class Permission:
    """An action on a resource; with a prefix, on listings with such a prefix alone."""

    action: str
    resource: str
    prefix: str | None = None

    def __str__(self):
        return f"{self.action} on {self.resource}" + (f" with prefix {self.prefix}" if self.prefix is not None else "")

    def covers(self, need):
        """Whether it allows what is needed."""
        return (
            fnmatchcase(need.action, self.action)
            and fnmatchcase(need.resource, self.resource)
            and (self.prefix is None or (need.prefix is not None and fnmatchcase(need.prefix, self.prefix)))
        )

    def in_folder(self):
        """The same for all of the folder."""
        key, prefix = self.resource.removeprefix(LAKE + "/"), self.prefix
        resource = self.resource if key == self.resource else f"{LAKE}/{folder(key)}"
        return Permission(self.action, resource, None if prefix is None else folder(prefix))


def folder(key):
    first, slash, _ = key.partition("/")
    return f"{first}/*" if slash else key


def allowed(repo):
    """What each document of policies.tf allows, by its name."""
    text = re.sub(r"#.*", "", repo.text(POLICIES))
    found = {}
    for header, document in blocks(text, r'^data "aws_iam_policy_document" "(\w+)" \{', POLICIES):
        place = f"{POLICIES}: {header.group(1)}"
        unknown = set(re.findall(r'^\s*(\w+)(?: "\w+")*\s*[={]', document, re.M)) - UNDERSTOOD
        if unknown:
            raise Missing(f"{place}: `{', '.join(sorted(unknown))}` is not understood")
        statements = blocks(document, r"^\s*statement \{", place)
        found[header.group(1)] = {one for _, statement in statements for one in permissions(statement, place)}
    if not found or not all(found.values()):
        raise Missing(f"{POLICIES}: found no permissions")
    return found


def permissions(statement, place):
    """What a statement allows."""
    prefix, conditions = None, list(blocks(statement, r"^\s*condition \{", place))
    if conditions:
        # All of several would have to hold.
        (_, condition), *more = conditions
        values = texts(part(condition, r"values\s*= \[(.*?)\]", place), place)
        if more or len(values) != 1 or not re.search(r'"StringLike"\s*variable = "s3:prefix"', condition):
            raise Missing(f"{place}: a condition other than one `s3:prefix`, `StringLike` one value, is not understood")
        prefix = values[0]
    lists = {match.group(1): body for match, body in blocks(statement, r"^\s*(actions|resources)\s*= \[", place)}
    if len(lists) != 2:
        raise Missing(f"{place}: a statement without actions or resources")
    for action in texts(lists["actions"], place):
        for resource in resources(lists["resources"], place):
            yield Permission(action, resource, prefix)


def texts(listed, place):
    """The texts of a list of nothing else."""
    found = re.findall(r'"([^"]*)"', listed)
    if re.sub(r'"[^"]*"|[\s,]', "", listed):
        raise Missing(f"{place}: `{' '.join(listed.split())}` is not understood")
    return found


def resources(listed, place):
    """The resources of a list: queues, the bucket, folders in it, or one `for` over folders."""
    each = re.fullmatch(r'\s*for (\w+) in \[(.*?)\] : "([^"]*)"\s*', listed, re.S)
    if each:
        name, values, template = each.groups()
        found = [template.replace(f"${{{name}}}", value) for value in texts(values, place)]
    else:
        found = [item.strip().strip('"') for item in listed.split(",") if item.strip()]
    for resource in found:
        resource = resource.replace(f"${{{LAKE}}}/", f"{LAKE}/")
        if resource not in (QUEUE, DLQ, LAKE) and not re.fullmatch(rf"{re.escape(LAKE)}/[\w*=/.-]+", resource):
            raise Missing(f"{place}: resource `{resource}` is not understood")
        yield resource


@dataclasses.dataclass(frozen=True)
class Call:
    """A request as local-aws logs it; its resource has the name that it has in policies.tf."""

    caller: str
    operation: str
    resource: str
    prefix: str | None = None


def calls(log, queue, dlq, lake):
    """The requests in a log of local-aws, in their order; the names are those of the run."""
    names = {f"arn:aws:sqs:us-east-1:000000000000:{queue}": QUEUE, f"arn:aws:sqs:us-east-1:000000000000:{dlq}": DLQ}
    names |= {f"arn:aws:s3:::{lake}": LAKE}
    for fields in re.findall(r'event="request" (.*)', log):
        field = {name: json.loads(text) for name, text in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', fields)}
        resource, slash, key = field.get("resource", "*").partition("/")
        yield Call(
            field.get("caller", "nobody"),
            f"{field['service']}:{field['operation']}",
            names.get(resource, resource) + slash + key,
            field.get("prefix"),
        )


def needed(calls, deleted=()):
    """What each caller needs to be allowed.

    A request of `DeleteObjects` names its keys in its body, which the log does not have: `deleted` are the keys that such
    requests took away. Without any, each of the requests needs the whole bucket.

    S3 answers a GET of a key that is not there with 404 to those who may list the bucket, without a condition on the
    prefix, for a GET has none. To others it answers 403 (S3 API reference, GetObject, read 2026-11-21).
    """
    needs, there = {}, set()
    for call in calls:
        action = PERMISSIONS.get(call.operation, call.operation)
        mine = needs.setdefault(call.caller, set())
        if call.operation == "s3:DeleteObjects" and deleted:
            mine |= {Permission(action, f"{call.resource}/{key}") for key in deleted}
            continue
        mine.add(Permission(action, call.resource, call.prefix))
        if call.operation == "s3:PutObject":
            there.add(call.resource)
        elif call.operation == "s3:DeleteObject":
            there.discard(call.resource)
        elif action == "s3:GetObject" and call.resource not in there:
            mine.add(Permission("s3:ListBucket", call.resource.partition("/")[0]))
    return needs


def differences(allowed, needs):
    """What differs between what is allowed and what is needed, both by caller."""
    for caller in sorted(needs.keys() - allowed.keys()):
        yield f"{caller} calls AWS, and {POLICIES} has nothing for it"
    for caller, permissions in sorted(allowed.items()):
        mine = needs.get(caller, set())
        refused = {need.in_folder() for need in mine if not any(one.covers(need) for one in permissions)}
        for need in sorted(refused, key=str):
            yield f"{caller} calls {need}, which {POLICIES} does not allow"
        folders = {need.in_folder() for need in mine}
        for permission in sorted(permissions, key=str):
            if not any(within(permission, called) for called in folders):
                yield f"{POLICIES} allows {caller} {permission}, which it does not call{instead(permission, folders)}"


def within(permission, called):
    """Whether a permission reaches no further than what was called, all of its folder taken together."""
    same = permission.action == called.action and (permission.prefix is None) == (called.prefix is None)
    return (
        same
        and fnmatchcase(permission.resource, called.resource)
        and (permission.prefix is None or fnmatchcase(permission.prefix, called.prefix))
    )


def instead(permission, folders):
    """Where the action was called, for one who looks for why."""
    others = sorted(str(one).split(" on ")[1] for one in folders if one.action == permission.action)
    return f": only on {', '.join(others)}" if others else ""
