//! A kind of event: what its declaration says, and what follows from it for reading.

use crate::declare::derived::DerivedSignal;
use crate::declare::names::{RESERVED, is_in};
use crate::declare::naming::Naming;
use crate::declare::rule::{EntityRule, FieldRule, OnUnfit, RulesByName, ScalarType, TimeRule};

/// A declared kind of event.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Name in routes, partitions and the `kind` field, such as `vehicle`: 1 to 32 of `a-z`, `0-9`
    /// and `_`, a letter first.
    pub name: String,
    /// Version of the declaration, for people: nothing is decided by it.
    pub version: u32,
    /// Other names of the kind in routes, such as `pm`; no other kind's name or alias.
    pub aliases: Vec<String>,
    /// What an event of this kind is, for people; may be empty.
    pub description: String,
    /// The field that names the entity.
    pub entity: EntityRule,
    /// The field that holds the event time.
    pub time: TimeRule,
    /// Where an event has its signals.
    pub signals_at: SignalsAt,
    /// What the signals are, for people; may be empty.
    pub signals_description: String,
    /// The most signals an event may carry, 1 to [`MAX_SIGNALS`](crate::MAX_SIGNALS).
    pub max_signals: usize,
    /// Whether signals that are not declared are taken.
    pub open: bool,
    /// The most names of undeclared signals that get a column over the kind's whole life, 0 to 4,096; 512 unless
    /// declared, and 0 of a [long](Kind::is_long) kind. Values of further names are kept in the column `_more`.
    pub max_undeclared: usize,
    /// What becomes of an event with a signal that is `null`.
    pub nulls: OnUnfit,
    /// What becomes of an event with a number below or above what is declared of its signal.
    pub out_of_range: OnUnfit,
    /// The other fields, in byte order of their names; among them, in a long kind, a signal's name and value.
    pub fields: Vec<FieldRule>,
    /// The declared signals that senders send, by name, in no order.
    pub known: RulesByName,
    /// Signals that follow from others, in byte order of their names; no sender may send one of these names.
    pub derived: Vec<DerivedSignal>,
    /// How signals get their names; `None` if each has the one that is sent.
    pub(crate) naming: Option<Naming>,
    /// The kind's own fields in byte order of their names, which is the order of the canonical form:
    /// what stands before each of them there, `"name":`, and which it is.
    pub(crate) canonical: Vec<(String, OwnField)>,
    /// Whether an event could fit this kind and another: then its fields do not tell the kind.
    pub(crate) overlaps: bool,
}

/// Where an event of a kind has its signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalsAt {
    /// In an object of this field, such as `payload`, by name.
    Object(String),
    /// One signal an event, its name and its value in fields of their own: a *long* kind.
    Fields {
        /// Place in [`Kind::fields`] of the field that is the signal's name, a text.
        name: usize,
        /// Place of the field that is its value, a number.
        value: usize,
    },
}

/// A field of an event that the kind's declaration names, as opposed to the server's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnField {
    Entity,
    Time,
    Signals,
    /// The field of that place in [`Kind::fields`].
    Other(usize),
}

impl Kind {
    /// Whether an event carries one signal, whose name and value are fields. Such an event stays a row of these
    /// fields in `curated/`: its signal has no column of its own, however many names there are. Nor does the content
    /// make its id: two samples that say the same are two, and who takes them in gives them ids.
    pub fn is_long(&self) -> bool {
        matches!(self.signals_at, SignalsAt::Fields { .. })
    }

    /// The field of labels that tell series of one entity apart: the first one of type labels, of a long kind.
    pub fn labels_field(&self) -> Option<&str> {
        let mut fields = self.fields.iter().filter(|_| self.is_long());
        let labels = fields.find(|rule| rule.scalar == ScalarType::Labels);
        labels.map(|rule| rule.name.as_str())
    }

    /// What is declared of a signal, whether it is sent or derived.
    pub fn signal(&self, name: &str) -> Option<&FieldRule> {
        let derived = || self.derived_signal(name).map(|derived| &derived.rule);
        self.known.get(name).or_else(derived)
    }

    /// All declared signals, sent and derived ones, in no order.
    pub fn signals(&self) -> impl Iterator<Item = &FieldRule> {
        let derived = self.derived.iter().map(|derived| &derived.rule);
        self.known.values().chain(derived)
    }

    /// The derived signal of that name, in upper or lower case.
    pub fn derived_signal(&self, name: &str) -> Option<&DerivedSignal> {
        let mut derived = self.derived.iter();
        derived.find(|derived| derived.rule.name.eq_ignore_ascii_case(name))
    }

    /// Every field that an event must have, in the order in which messages name them.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        let entity = self.entity.default.is_none().then_some(&self.entity.field);
        let time = (!self.time.defaults_to_arrival).then_some(&self.time.field);
        let others = self.fields.iter().filter(|rule| rule.required);
        [entity, time, self.signals_object()]
            .into_iter()
            .flatten()
            .chain(others.map(|rule| &rule.name))
            .map(String::as_str)
    }

    /// The field whose object has the signals; `None` of a long kind.
    pub(crate) fn signals_object(&self) -> Option<&String> {
        match &self.signals_at {
            SignalsAt::Object(field) => Some(field),
            SignalsAt::Fields { .. } => None,
        }
    }

    /// The kind's own field of that name.
    #[inline]
    pub(crate) fn own_field(&self, name: &str) -> Option<OwnField> {
        if self.signals_object().is_some_and(|field| name == field) {
            Some(OwnField::Signals)
        } else if name == self.entity.field {
            Some(OwnField::Entity)
        } else if name == self.time.field {
            Some(OwnField::Time)
        } else {
            let at = self.fields.iter().position(|rule| rule.name == name);
            at.map(OwnField::Other)
        }
    }

    /// The name of one of the kind's own fields.
    pub(crate) fn name_of(&self, own: OwnField) -> &str {
        match own {
            OwnField::Entity => &self.entity.field,
            OwnField::Time => &self.time.field,
            OwnField::Signals => self.signals_object().map_or("", String::as_str),
            OwnField::Other(at) => &self.fields[at].name,
        }
    }

    /// The declared signal that differs from `name`, which is not declared, in case alone.
    pub(crate) fn known_in_other_case(&self, name: &str) -> Option<&str> {
        let mut known = self.known.keys().map(String::as_str);
        known.find(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether a signal of that name would hide a column of `curated/`: one of the built-in ones
    /// or one of the kind's fields.
    pub(crate) fn is_reserved_signal(&self, name: &str) -> bool {
        is_in(name, RESERVED) || is_in(name, self.fields.iter().map(|rule| rule.name.as_str()))
    }
}
