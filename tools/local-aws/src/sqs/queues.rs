//! Operations on queues as a whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::attributes::{self, with_defaults};
use super::error::SqsError;
use super::journal::Change;
use super::names::{ACCOUNT, queue_name};
use super::queue::Queue;
use super::state::State;
use super::{Caller, QueueRequest, Sqs, parse};

/// Attributes the service computes.
const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateRequest {
    queue_name: String,
    attributes: BTreeMap<String, String>,
    /// The API model spells this one member in lower case.
    #[serde(rename = "tags", alias = "Tags")]
    tags: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NameRequest {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListRequest {
    queue_name_prefix: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct GetAttributesRequest {
    queue_url: String,
    attribute_names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SetAttributesRequest {
    queue_url: String,
    attributes: BTreeMap<String, String>,
}

impl Caller {
    fn queue_url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.base_url)
    }
}

impl Sqs {
    pub(super) fn create_queue(&self, body: &[u8], caller: &Caller) -> Result<String, SqsError> {
        let mut request: CreateRequest = parse(body)?;
        check_name(&request.queue_name)?;
        attributes::check(&request.attributes)?;
        if !request.tags.is_empty() {
            return Err(SqsError::unsupported("Tags are not emulated."));
        }
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
            let change = State::altered(&queue, request.attributes, now);
            state.commit(vec![change])?;
        }
        Ok(json!({"QueueUrl": caller.queue_url(&request.queue_name)}).to_string())
    }

    pub(super) fn get_queue_url(&self, body: &[u8], caller: &Caller) -> Result<String, SqsError> {
        let request: NameRequest = parse(body)?;
        let name = queue_name(&request.queue_name)?;
        self.state().queue(name, self.clock.now())?;
        Ok(json!({"QueueUrl": caller.queue_url(name)}).to_string())
    }

    /// A page of queue URLs; the token is the last name of the page before.
    pub(super) fn list_queues(&self, body: &[u8], caller: &Caller) -> Result<String, SqsError> {
        let request: ListRequest = parse(body)?;
        let prefix = request.queue_name_prefix.unwrap_or_default();
        let after = request.next_token.unwrap_or_default();
        let most = request.max_results.unwrap_or(1_000).clamp(1, 1_000);
        let state = self.state();
        let names = state.queues().map(|queue| queue.name.as_str());
        let mut names = names.filter(|name| name.starts_with(&prefix) && *name > after.as_str());
        let page: Vec<_> = names.by_ref().take(most).collect();
        let mut answer = json!({});
        // SQS gives a token only to requests with MaxResults.
        if request.max_results.is_some() && names.next().is_some() {
            answer["NextToken"] = json!(page.last());
        }
        if !page.is_empty() {
            let urls: Vec<_> = page.iter().map(|name| caller.queue_url(name)).collect();
            answer["QueueUrls"] = json!(urls);
        }
        Ok(answer.to_string())
    }

    pub(super) fn delete_queue(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: QueueRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let mut state = self.state();
        state.queue(name, self.clock.now())?;
        state.commit(vec![Change::QueueDeleted {
            queue: name.to_owned(),
        }])?;
        Ok("{}".to_owned())
    }

    pub(super) fn purge_queue(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: QueueRequest = parse(body)?;
        let name = queue_name(&request.queue_url)?;
        let mut state = self.state();
        state.queue(name, self.clock.now())?;
        state.commit(vec![Change::Purged {
            queue: name.to_owned(),
        }])?;
        Ok("{}".to_owned())
    }

    pub(super) fn get_queue_attributes(&self, body: &[u8]) -> Result<String, SqsError> {
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
            return Ok("{}".to_owned());
        }
        Ok(json!({"Attributes": answer}).to_string())
    }

    pub(super) fn set_queue_attributes(&self, body: &[u8]) -> Result<String, SqsError> {
        let request: SetAttributesRequest = parse(body)?;
        attributes::check(&request.attributes)?;
        let now = self.clock.now();
        let mut state = self.state();
        let queue = state.queue(queue_name(&request.queue_url)?, now)?;
        let arn = queue.arn();
        let mut attributes = queue.attributes.clone();
        attributes.extend(request.attributes.clone());
        // An empty value removes an attribute, such as a redrive policy.
        attributes.retain(|_, value| !value.is_empty());
        let change = State::altered(queue, attributes, now);
        check_redrive(&state, &arn, &request.attributes)?;
        state.commit(vec![change])?;
        Ok("{}".to_owned())
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

/// A redrive policy must name another queue that exists.
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
        Some(_) => Ok(()),
    }
}
