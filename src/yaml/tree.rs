//! The tree of a document, and the place of each of its nodes.
//!
//! The deserializer tells places in its errors only, and a scalar's type and its source text only one at a time. So
//! a text is walked three times in the same order: for structure and types, for the scalars as they were written,
//! and, for a node that a mistake concerns, up to that node, where the walk fails on purpose and its error says
//! where.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Place;

/// How many values a file may hold once its aliases are followed. An alias costs a few bytes and may repeat much.
const MOST_NODES: usize = 100_000;

/// How many bytes of text they may hold together, once its aliases are followed.
const MOST_TEXT: usize = 4 << 20;

/// How many brackets and braces may be open at once, and how many a file may open in all.
const DEEPEST: usize = 1000;
const MOST_OPENED: usize = 50_000;

/// The longest key and the longest other text, in bytes.
const LONGEST_KEY: usize = 256;
const LONGEST_TEXT: usize = 16 << 10;

/// A value and its number: keys and values are counted in the order of the text.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: usize,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Scalar, String),
    List(Vec<Node>),
    /// In the order of the text, duplicates included.
    Map(Vec<(Key, Node)>),
}

/// What YAML takes a scalar for; its source text stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Number,
    Text,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: usize,
    pub(super) text: String,
}

/// Reads a text into a tree.
pub(super) fn parse(text: &str) -> Result<Node, serde_yaml::Error> {
    if is_too_deep(text) {
        return Err(Error::custom("recursion limit exceeded"));
    }
    if is_blank(text) {
        return Ok(Node { id: 0, kind: Kind::Scalar(Scalar::Null, String::new()) });
    }
    let counter = Cell::new(0);
    let mut root = Build(&counter).deserialize(serde_yaml::Deserializer::from_str(text))?;
    let room = Cell::new(MOST_TEXT);
    Source(&mut root, &room).deserialize(serde_yaml::Deserializer::from_str(text))?;
    Ok(root)
}

/// Whether so many lists and maps may lie one in the other that the parser, which looks at all that are open for each
/// word, would not end. What is quoted counts as well, so this says yes too early, where no file is honest.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut opened) = (0_usize, 0);
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => (depth, opened) = (depth + 1, opened + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST || opened > MOST_OPENED
    })
}

/// Where a node stands.
pub(super) fn locate(text: &str, id: usize) -> Option<Place> {
    if is_blank(text) {
        return Some(Place { line: 1, column: 1 });
    }
    let remaining = Cell::new(id);
    let error = Locate(&remaining).deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    place(&error)
}

pub(super) fn place(error: &serde_yaml::Error) -> Option<Place> {
    error.location().map(|at| Place { line: at.line(), column: at.column() })
}

/// A text without any value, which the deserializer would call an unexpected end.
fn is_blank(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// First walk: structure and types.
struct Build<'c>(&'c Cell<usize>);

impl Build<'_> {
    fn number<E: Error>(&self) -> Result<usize, E> {
        let id = self.0.get();
        if id >= MOST_NODES {
            return Err(E::custom(format_args!("more than {MOST_NODES} values, aliases followed")));
        }
        self.0.set(id + 1);
        Ok(id)
    }

    fn scalar<E: Error>(self, scalar: Scalar) -> Result<Node, E> {
        Ok(Node { id: self.number()?, kind: Kind::Scalar(scalar, String::new()) })
    }
}

impl<'de> DeserializeSeed<'de> for Build<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Build<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value without a tag")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.scalar(Scalar::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.scalar(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.scalar(Scalar::Boolean(value))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        self.scalar(Scalar::Number)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        self.scalar(Scalar::Number)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Node, E> {
        self.scalar(Scalar::Number)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Node, E> {
        self.scalar(Scalar::Number)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        self.scalar(Scalar::Number)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Node, E> {
        self.scalar(Scalar::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let id = self.number()?;
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(Build(self.0))? {
            nodes.push(node);
        }
        Ok(Node { id, kind: Kind::List(nodes) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let id = self.number()?;
        let mut entries = Vec::new();
        while let Some(text) = map.next_key_seed(Text)? {
            if text.len() > LONGEST_KEY {
                return Err(A::Error::custom(format_args!("a key is longer than {LONGEST_KEY} bytes")));
            }
            let key = Key { id: self.number()?, text };
            entries.push((key, map.next_value_seed(Build(self.0))?));
        }
        Ok(Node { id, kind: Kind::Map(entries) })
    }
}

/// A scalar as it is written, whatever YAML takes it for.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("text for a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

/// Second walk: the scalars' texts, into the tree that the first one built.
struct Source<'n, 'c>(&'n mut Node, &'c Cell<usize>);

impl Source<'_, '_> {
    fn take_room<E: Error>(&self, bytes: usize) -> Result<(), E> {
        if bytes > LONGEST_TEXT {
            return Err(E::custom(format_args!("a text is longer than {LONGEST_TEXT} bytes")));
        }
        let left = self.1.get().checked_sub(bytes);
        self.1.set(left.ok_or_else(|| E::custom(format_args!("more than {MOST_TEXT} bytes, aliases followed")))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Source<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match &mut self.0.kind {
            Kind::Scalar(..) => {
                let source = Text.deserialize(deserializer)?;
                self.take_room(source.len())?;
                if let Kind::Scalar(_, text) = &mut self.0.kind {
                    *text = source;
                }
            }
            Kind::List(_) => deserializer.deserialize_seq(self)?,
            Kind::Map(_) => deserializer.deserialize_map(self)?,
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Source<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("what the first walk found")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Kind::List(nodes) = &mut self.0.kind {
            for node in nodes {
                list.next_element_seed(Source(node, self.1))?;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if let Kind::Map(entries) = &mut self.0.kind {
            for (_, node) in entries {
                map.next_key_seed(Text)?;
                map.next_value_seed(Source(node, self.1))?;
            }
        }
        Ok(())
    }
}

/// Third walk: fails at the node whose number is left in the cell.
struct Locate<'c>(&'c Cell<usize>);

impl Locate<'_> {
    fn step<E: Error>(&self) -> Result<(), E> {
        match self.0.get().checked_sub(1) {
            Some(remaining) => {
                self.0.set(remaining);
                Ok(())
            }
            None => Err(E::custom("here")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Locate<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Locate<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("what the first walk found")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.step()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.step()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.step()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.step()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.step()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.step()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.step()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.step()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.step()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.step()?;
        while list.next_element_seed(Locate(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.step()?;
        while map.next_key_seed(Locate(self.0))?.is_some() {
            map.next_value_seed(Locate(self.0))?;
        }
        Ok(())
    }
}
