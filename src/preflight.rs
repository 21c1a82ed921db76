//! What a server would take of what is said about a sample, by the server's own lists.
//!
//! Lists and values go in, misses come out, each with the right value that was probably meant. It is asked of a whole
//! manifest before anything is uploaded (`check --online`), and of each sample before its first byte leaves. Pure: who
//! fetches the lists, and how long they are good, is decided elsewhere. A list that the server does not have is not
//! checked, and neither is what only the server can know (whether a name is free, say): it refuses that itself.

use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;
use serde::Serialize;

use crate::flow::{DataType, MetadataAttribute, Options, Organism, Project, SampleType};
use crate::sample::{ANNOTATION_SUFFIX, Target};
use crate::yaml::nearest_name;

/// So many right values are told where none was probably meant.
const VALUES_TOLD: usize = 10;

/// The server's lists; those that are `None` it does not have.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    pub sample_types: Option<Arc<Vec<SampleType>>>,
    pub attributes: Option<Arc<Vec<MetadataAttribute>>>,
    pub organisms: Option<Arc<Vec<Organism>>>,
    /// The account's own.
    pub projects: Option<Arc<Vec<Project>>>,
    /// What the account is called, where it owns no project at all and Flow says so.
    pub account: Option<String>,
    pub data_types: Option<Arc<Vec<DataType>>>,
    /// The options that contain a value, for those that were asked for by [`beyond_lists`].
    pub options: HashMap<Term, Options>,
}

/// An attribute, and a value that may be among its options.
pub type Term = (String, String);

/// What is said about one thing that is to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Sample {
        sample_type: Given,
        organism: Option<Given>,
        /// The project's id.
        project: Option<Given>,
        /// The project's name: of the one with that id, or, without an id, of the one that is meant.
        project_name: Option<Given>,
        /// Attribute and value.
        metadata: Vec<(String, Given)>,
    },
    Data {
        data_type: Option<Given>,
    },
    /// Its annotation sheet is Flow's to judge.
    Multiplexed,
}

/// A value that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    Value(String),
    /// Known only with the files that it is taken from.
    Later,
}

/// A value that the server does not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The key of the manifest: `type`, `metadata.strandedness`.
    pub key: String,
    /// `None` where it is missing.
    pub value: Option<String>,
    /// The right value that was probably meant.
    pub nearest: Option<String>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Given {
    fn value(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Later => None,
        }
    }
}

impl From<&Target> for Said {
    fn from(target: &Target) -> Self {
        let given = |value: &Option<String>| value.clone().map(Given::Value);
        match target {
            Target::Sample { sample_type, organism, project, project_name, metadata, name: _ } => Self::Sample {
                sample_type: Given::Value(sample_type.clone()),
                organism: given(organism),
                project: given(project),
                project_name: given(project_name),
                metadata: metadata.iter().map(|(key, value)| (key.clone(), Given::Value(value.clone()))).collect(),
            },
            Target::Data { data_type, .. } => Self::Data { data_type: given(data_type) },
            Target::Multiplexed { .. } => Self::Multiplexed,
        }
    }
}

/// What the server would not take of what is said.
pub fn check(said: &Said, lists: &Lists) -> Vec<Miss> {
    let mut misses = Vec::new();
    match said {
        Said::Sample { sample_type, organism, project, project_name, metadata } => {
            misses.extend(sample_type.value().and_then(|value| of_type(value, lists)));
            misses.extend(organism.as_ref().and_then(Given::value).and_then(|value| of_organism(value, lists)));
            misses.extend(of_project(project.as_ref(), project_name.as_ref(), lists));
            of_metadata(sample_type.value(), metadata, lists, &mut misses);
        }
        Said::Data { data_type } => {
            misses.extend(data_type.as_ref().and_then(Given::value).and_then(|value| of_data_type(value, lists)));
        }
        Said::Multiplexed => {}
    }
    misses
}

/// The id of the one project that is meant by its name alone.
pub fn project_by_name(said: &Said, lists: &Lists) -> Option<String> {
    let Said::Sample { project: None, project_name: Some(Given::Value(name)), .. } = said else { return None };
    let mut called = lists.projects.iter().flat_map(|all| all.iter()).filter(|project| project.name == *name);
    called.next().filter(|_| called.next().is_none()).map(|project| project.id.clone())
}

/// Values of closed attributes that are not among the options that the server listed, where it did not list them all:
/// it must be asked for them before they can be judged.
pub fn beyond_lists(said: &Said, lists: &Lists) -> Vec<Term> {
    let Said::Sample { metadata, .. } = said else { return Vec::new() };
    let mut beyond = Vec::new();
    for (key, given) in metadata {
        let attribute = lists.attributes.iter().flat_map(|all| all.iter()).find(|one| one.identifier == *key);
        let Some(options) = attribute.and_then(|attribute| attribute.options.as_ref()).filter(|all| all.is_cut) else {
            continue;
        };
        let items = given.value().into_iter().flat_map(|value| items(attribute, value));
        let unlisted = items.filter(|item| !options.values.iter().any(|option| option == item));
        beyond.extend(unlisted.map(|item| (key.clone(), item.to_owned())));
    }
    beyond
}

fn of_type(value: &str, lists: &Lists) -> Option<Miss> {
    let known = Known::of(lists.sample_types.as_ref()?, |one| (&one.identifier, [&one.name, ""]));
    known.miss("type", &format!("sample type {value:?} does not exist on this server"), value)
}

fn of_organism(value: &str, lists: &Lists) -> Option<Miss> {
    let known = Known::of(lists.organisms.as_ref()?, |one| (&one.id, [&one.name, &one.latin_name]));
    known.miss("organism", &format!("organism {value:?} does not exist on this server"), value)
}

fn of_data_type(value: &str, lists: &Lists) -> Option<Miss> {
    let known = Known::of(lists.data_types.as_ref()?, |one| (&one.identifier, [&one.name, ""]));
    known.miss("data_type", &format!("data type {value:?} does not exist on this server"), value)
}

fn of_project(id: Option<&Given>, name: Option<&Given>, lists: &Lists) -> Option<Miss> {
    let value = |given: Option<&Given>| given.and_then(Given::value).map(str::to_owned);
    let (is_by_name, id, name) = (id.is_none(), value(id), value(name));
    let miss = |value: &str, nearest: Option<&str>, message: String| Miss {
        key: "project".to_owned(),
        value: Some(value.to_owned()),
        nearest: nearest.map(str::to_owned),
        message,
    };
    let Some(projects) = lists.projects.as_ref() else {
        // An id may be right without a list; a name leads nowhere.
        let name = name.filter(|_| is_by_name)?;
        let message = format!("project {name:?} cannot be found by its name: this server does not list projects");
        return Some(miss(&name, None, format!("{message}; give its id")));
    };
    if let (true, Some(project)) = (projects.is_empty(), id.as_ref().or(name.as_ref().filter(|_| is_by_name))) {
        let account = lists.account.as_deref().unwrap_or("this account");
        let message = format!(
            "project {project:?} is none of this account's own: Flow was asked for the projects that {account} owns, and \
             there are none; use the credentials of the account that owns it, have {account} made its owner on Flow, or \
             leave project out"
        );
        return Some(miss(project, None, message));
    }
    match (id, name) {
        (Some(id), name) => {
            let known = Known::of(projects, |one| (&one.id, [&one.name, ""]));
            let unknown = known.miss("project", &format!("project {id:?} is none of this account's own"), &id);
            if unknown.is_some() {
                return unknown;
            }
            let (name, own) = (name?, projects.iter().find(|project| project.id == id)?);
            if own.name == name {
                return None;
            }
            let is_meant = |project: &&Project| project.name == name;
            let hint = projects.iter().find(is_meant).map(|meant| format!("; {name:?} is {}", meant.id));
            let message = format!("project {id} is called {:?}, and not {name:?}", own.name);
            Some(miss(&id, Some(&own.name), message + &hint.unwrap_or_default()))
        }
        (None, Some(name)) if is_by_name => {
            let called: Vec<_> = projects.iter().filter(|project| project.name == name).collect();
            match called.as_slice() {
                [_] => None,
                [] => {
                    let known = Known::of(projects, |one| (&one.name, [&one.id, ""]));
                    known.miss("project", &format!("this account owns no project that is called {name:?}"), &name)
                }
                several => {
                    let ids: Vec<_> = several.iter().map(|project| project.id.as_str()).collect();
                    let message = format!("several of this account's projects are called {name:?}: {}", ids.join(", "));
                    Some(miss(&name, None, format!("{message}; give the id of one")))
                }
            }
        }
        _ => None,
    }
}

fn of_metadata(sample_type: Option<&str>, metadata: &[(String, Given)], lists: &Lists, misses: &mut Vec<Miss>) {
    let Some(attributes) = lists.attributes.as_ref() else { return };
    let attribute = |key: &str| attributes.iter().find(|attribute| attribute.identifier == key);
    for (key, given) in metadata {
        match (attribute(key), key.strip_suffix(ANNOTATION_SUFFIX).and_then(attribute)) {
            (Some(attribute), _) => {
                misses.extend(given.value().and_then(|value| of_value(attribute, value, lists)));
            }
            (None, Some(annotated)) if annotated.allow_annotation => {}
            (None, Some(annotated)) => {
                let message = format!("metadata {} takes no annotation; remove {key}", annotated.identifier);
                misses.push(Miss { key: of_attribute(key), value: None, nearest: None, message });
            }
            (None, None) => {
                let known = Known::of(attributes, |one| (&one.identifier, [&one.name, ""]));
                let message = format!("metadata attribute {key:?} does not exist on this server");
                misses.extend(known.miss(&of_attribute(key), &message, key));
            }
        }
    }
    for attribute in attributes.iter() {
        let is_required = attribute.required || sample_type.is_some_and(|one| attribute.is_required_for(one));
        let is_given = |(key, given): &(String, Given)| *key == attribute.identifier && given.value() != Some("");
        if is_required && !metadata.iter().any(is_given) {
            let of = if attribute.required { "every sample" } else { sample_type.unwrap_or_default() };
            let mut message = format!("metadata {} is required of {of}, and is not given", attribute.identifier);
            if let Some(options) = &attribute.options {
                message += &format!("; {}", told(options.values.iter().map(String::as_str), options.total));
            }
            misses.push(Miss { key: of_attribute(&attribute.identifier), value: None, nearest: None, message });
        }
    }
}

/// A value of an attribute that the server knows. A list is right as a whole, or item by item: which of the two the
/// server looks at is not known.
fn of_value(attribute: &MetadataAttribute, value: &str, lists: &Lists) -> Option<Miss> {
    let is_cut = attribute.options.as_ref().is_some_and(|options| options.is_cut);
    if value.is_empty() || attribute.is_list && !is_cut && of_item(attribute, value, lists).is_none() {
        return None;
    }
    items(Some(attribute), value).find_map(|item| of_item(attribute, item, lists))
}

fn of_item(attribute: &MetadataAttribute, item: &str, lists: &Lists) -> Option<Miss> {
    let key = of_attribute(&attribute.identifier);
    let what = format!("metadata {}: {item:?}", attribute.identifier);
    let found = lists.options.get(&(attribute.identifier.clone(), item.to_owned()));
    // A list that is cut says nothing of what is not on it.
    let is_judged = |options: &&Options| !options.is_cut || found.is_some_and(|found| !found.is_cut);
    if let Some(options) = attribute.options.as_ref().filter(is_judged) {
        let values = options.values.iter().chain(found.iter().flat_map(|found| &found.values));
        let known = Known { words: values.map(|value| (value.as_str(), ["", ""])).collect(), total: options.total };
        if let Some(miss) = known.miss(&key, &format!("{what} is not among its values"), item) {
            return Some(miss);
        }
    }
    let pattern = attribute.regex_validator.as_deref()?;
    // One that only the server understands, it judges by itself. What it would match at the beginning or as a whole is
    // found anywhere as well.
    let is_match = Regex::new(pattern).ok()?.is_match(item);
    (!is_match).then(|| Miss {
        key,
        value: Some(item.to_owned()),
        nearest: None,
        message: format!("{what} does not match {pattern}"),
    })
}

fn of_attribute(identifier: &str) -> String {
    format!("metadata.{identifier}")
}

/// The values of an attribute: several where it is a list. Nothing is given where the text is empty.
fn items<'a>(attribute: Option<&MetadataAttribute>, value: &'a str) -> impl Iterator<Item = &'a str> {
    let is_list = attribute.is_some_and(|attribute| attribute.is_list);
    let items: Vec<&str> = if is_list { value.split(',').map(str::trim).collect() } else { vec![value] };
    items.into_iter().filter(|item| !item.is_empty())
}

/// The right values, each with what else it is called.
struct Known<'a> {
    words: Vec<(&'a str, [&'a str; 2])>,
    /// How many there are, those included that the server does not list.
    total: usize,
}

impl<'a> Known<'a> {
    fn of<T>(all: &'a [T], word: impl Fn(&'a T) -> (&'a str, [&'a str; 2])) -> Self {
        Self { words: all.iter().map(word).collect(), total: all.len() }
    }

    /// That a value is none of them.
    fn miss(&self, key: &str, what: &str, value: &str) -> Option<Miss> {
        if self.words.iter().any(|(word, _)| *word == value) {
            return None;
        }
        let meant = self.meant(value);
        let message = match meant {
            Some((word, [name, _])) if name.is_empty() || name == word => format!("{what}; did you mean {word:?}?"),
            Some((word, [name, _])) => format!("{what}; did you mean {word:?} ({name})?"),
            None => format!("{what}; {}", told(self.words.iter().map(|(word, _)| *word), self.total)),
        };
        let nearest = meant.map(|(word, _)| word.to_owned());
        Some(Miss { key: key.to_owned(), value: Some(value.to_owned()), nearest, message })
    }

    /// The one that was probably meant, be it by another of its names.
    fn meant(&self, value: &str) -> Option<(&'a str, [&'a str; 2])> {
        let names = self.words.iter().flat_map(|(word, names)| std::iter::once(*word).chain(*names));
        let name = nearest_name(value, names.filter(|name| !name.is_empty()))?;
        self.words.iter().find(|(word, names)| *word == name || names.contains(&name)).copied()
    }
}

/// The right values, or the first of them.
fn told<'a>(values: impl Iterator<Item = &'a str>, total: usize) -> String {
    let shown: Vec<_> = values.take(VALUES_TOLD).collect();
    match total.saturating_sub(shown.len()) {
        _ if shown.is_empty() => "there are none".to_owned(),
        0 => format!("there are {}", shown.join(", ")),
        more => format!("there are {} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
