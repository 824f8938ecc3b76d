//! Operations on queues as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::attributes::{self, with_defaults};
use super::error::SqsError;
use super::journal::Change;
use super::queue::Queue;
use super::state::State;
use super::{ACCOUNT, Caller, QueueRequest, Sqs, parse, queue_name};

/// Attributes the service computes.
const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateRequest {
    #[serde(default)]
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// The API model spells this one member in lower case.
    #[serde(default, rename = "tags", alias = "Tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NameRequest {
    #[serde(default)]
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListRequest {
    queue_name_prefix: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SourcesRequest {
    #[serde(default)]
    queue_url: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetAttributesRequest {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetAttributesRequest {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRequest {
    #[serde(default)]
    queue_url: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

impl Caller {
    fn queue_url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.base_url)
    }
}

impl Sqs {
    pub(super) fn create_queue(&self, body: &[u8], caller: &Caller) -> Result<Value, SqsError> {
        let mut request: CreateRequest = parse(body)?;
        check_name(&request.queue_name)?;
        attributes::check(&request.attributes)?;
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(queue) = state.find(&request.queue_name) {
            let present = with_defaults(&queue.attributes);
            let differs = |(name, value): &(&String, &String)| present.get(*name) != Some(*value);
            if let Some((name, _)) = request.attributes.iter().find(differs) {
                return Err(SqsError::new(
                    "QueueNameExists",
                    format!(
                        "A queue already exists with the same name and a different value for \
                         attribute {name}"
                    ),
                ));
            }
        } else {
            let queue = Queue::new(request.queue_name.clone(), caller.region.clone(), now);
            check_redrive(&state, &queue.arn(), &request.attributes)?;
            request.attributes.retain(|_, value| !value.is_empty());
            let change = State::altered(&queue, request.attributes, request.tags, now);
            state.commit(vec![change])?;
        }
        Ok(json!({"QueueUrl": caller.queue_url(&request.queue_name)}))
    }

    pub(super) fn get_queue_url(&self, body: &[u8], caller: &Caller) -> Result<Value, SqsError> {
        let request: NameRequest = parse(body)?;
        let name = queue_name(&request.queue_name)?;
        self.state().queue(name, self.clock.now())?;
        Ok(json!({"QueueUrl": caller.queue_url(name)}))
    }

    pub(super) fn list_queues(&self, body: &[u8], caller: &Caller) -> Result<Value, SqsError> {
        let request: ListRequest = parse(body)?;
        let prefix = request.queue_name_prefix.unwrap_or_default();
        let state = self.state();
        let names = state.queues().map(|queue| queue.name.as_str());
        let names = names.filter(|name| name.starts_with(&prefix));
        Ok(page(
            names,
            "QueueUrls",
            request.max_results,
            request.next_token,
            caller,
        ))
    }

    pub(super) fn list_dead_letter_source_queues(
        &self,
        body: &[u8],
        caller: &Caller,
    ) -> Result<Value, SqsError> {
        let request: SourcesRequest = parse(body)?;
        let mut state = self.state();
        let arn = state
            .queue(queue_name(&request.queue_url)?, self.clock.now())?
            .arn();
        let sources = state.queues().filter(|queue| {
            let redrive = queue.settings.redrive.as_ref();
            redrive.is_some_and(|redrive| redrive.target_arn == arn)
        });
        let names = sources.map(|queue| queue.name.as_str());
        Ok(page(
            names,
            "queueUrls",
            request.max_results,
            request.next_token,
            caller,
        ))
    }

    pub(super) fn delete_queue(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: QueueRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let mut state = self.state();
        state.queue(name, self.clock.now())?;
        state.commit(vec![Change::QueueDeleted {
            queue: name.to_owned(),
        }])?;
        Ok(json!({}))
    }

    pub(super) fn purge_queue(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: QueueRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let mut state = self.state();
        state.queue(name, self.clock.now())?;
        state.commit(vec![Change::Purged {
            queue: name.to_owned(),
        }])?;
        Ok(json!({}))
    }

    pub(super) fn get_queue_attributes(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: GetAttributesRequest = parse(body)?;
        let mut state = self.state();
        let queue = state.queue(queue_name(&request.queue_url)?, self.clock.now())?;
        let known =
            |name: &str| name == "All" || COMPUTED.contains(&name) || attributes::is_settable(name);
        if let Some(name) = request.attribute_names.iter().find(|name| !known(name)) {
            return Err(SqsError::new(
                "InvalidAttributeName",
                format!("Unknown Attribute {name}."),
            ));
        }
        let all = request.attribute_names.iter().any(|name| name == "All");
        let mut answer = describe(queue);
        answer.retain(|name, _| all || request.attribute_names.contains(name));
        if answer.is_empty() {
            return Ok(json!({}));
        }
        Ok(json!({"Attributes": answer}))
    }

    pub(super) fn set_queue_attributes(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: SetAttributesRequest = parse(body)?;
        attributes::check(&request.attributes)?;
        let now = self.clock.now();
        let mut state = self.state();
        let queue = state.queue(queue_name(&request.queue_url)?, now)?;
        let arn = queue.arn();
        let mut attributes = queue.attributes.clone();
        attributes.extend(request.attributes.clone());
        // An empty value takes an attribute away, such as a redrive policy.
        attributes.retain(|_, value| !value.is_empty());
        let change = State::altered(queue, attributes, queue.tags.clone(), now);
        check_redrive(&state, &arn, &request.attributes)?;
        state.commit(vec![change])?;
        Ok(json!({}))
    }

    pub(super) fn tag_queue(&self, body: &[u8]) -> Result<Value, SqsError> {
        self.change_tags(body, |tags, request| tags.extend(request.tags))
    }

    pub(super) fn untag_queue(&self, body: &[u8]) -> Result<Value, SqsError> {
        self.change_tags(body, |tags, request| {
            tags.retain(|key, _| !request.tag_keys.contains(key));
        })
    }

    fn change_tags(
        &self,
        body: &[u8],
        change: impl FnOnce(&mut BTreeMap<String, String>, TagRequest),
    ) -> Result<Value, SqsError> {
        let request: TagRequest = parse(body)?;
        let now = self.clock.now();
        let mut state = self.state();
        let queue = state.queue(queue_name(&request.queue_url)?, now)?;
        let mut tags = queue.tags.clone();
        change(&mut tags, request);
        let change = State::altered(queue, queue.attributes.clone(), tags, now);
        state.commit(vec![change])?;
        Ok(json!({}))
    }

    pub(super) fn list_queue_tags(&self, body: &[u8]) -> Result<Value, SqsError> {
        let request: QueueRequest = parse(body)?;
        let mut state = self.state();
        let queue = state.queue(queue_name(&request.queue_url)?, self.clock.now())?;
        if queue.tags.is_empty() {
            return Ok(json!({}));
        }
        Ok(json!({"Tags": queue.tags}))
    }
}

/// All attributes of a queue, given, default and computed.
fn describe(queue: &Queue) -> BTreeMap<String, String> {
    let counts = queue.counts();
    let mut all = with_defaults(&queue.attributes);
    let computed = [
        counts.visible.to_string(),
        counts.delayed.to_string(),
        counts.in_flight.to_string(),
        queue.created.as_secs().to_string(),
        queue.modified.as_secs().to_string(),
        queue.arn(),
    ];
    all.extend(COMPUTED.map(str::to_owned).into_iter().zip(computed));
    all
}

fn check_name(name: &str) -> Result<(), SqsError> {
    if name.is_empty() {
        return Err(SqsError::missing("QueueName"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.len() > 80 || !name.chars().all(allowed) {
        return Err(SqsError::invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        ));
    }
    Ok(())
}

/// A redrive policy must name another queue that exists and lets itself be used.
fn check_redrive(
    state: &State,
    source_arn: &str,
    given: &BTreeMap<String, String>,
) -> Result<(), SqsError> {
    let Some(redrive) = attributes::Settings::read(given).redrive else {
        return Ok(());
    };
    let refuse = |reason| {
        let value = given.get("RedrivePolicy").map_or("", String::as_str);
        Err(SqsError::invalid_parameter("RedrivePolicy", value, reason))
    };
    match state.by_arn(&redrive.target_arn) {
        None => refuse("Dead letter target does not exist."),
        Some(target) if target.arn() == source_arn => {
            refuse("A queue cannot be its own dead letter target.")
        }
        Some(target) => {
            let policy = target.attributes.get("RedriveAllowPolicy");
            if attributes::allows_source(policy, source_arn) {
                Ok(())
            } else {
                refuse("The dead letter target's RedriveAllowPolicy does not allow this queue.")
            }
        }
    }
}

/// A page of queue URLs; the token is the last name of the page before.
fn page<'a>(
    names: impl Iterator<Item = &'a str>,
    member: &str,
    most: Option<usize>,
    token: Option<String>,
    caller: &Caller,
) -> Value {
    let after = token.unwrap_or_default();
    let mut names = names.skip_while(|name| *name <= after.as_str());
    let page: Vec<_> = names
        .by_ref()
        .take(most.unwrap_or(1_000).clamp(1, 1_000))
        .collect();
    let mut answer = Map::new();
    // Without MaxResults the service gives no token.
    if most.is_some() && names.next().is_some() {
        answer.insert("NextToken".to_owned(), json!(page.last()));
    }
    let urls: Vec<_> = page.iter().map(|name| caller.queue_url(name)).collect();
    if !urls.is_empty() || member == "queueUrls" {
        answer.insert(member.to_owned(), json!(urls));
    }
    Value::Object(answer)
}
