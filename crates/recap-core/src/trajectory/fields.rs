//! A JSON object as a list of keys and untouched value texts: what is not changed keeps its bytes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in order, values as sent.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(Vec<(String, &'a str)>);

impl<'a> Fields<'a> {
    /// Reads the members of one JSON object.
    pub(super) fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// Returns the text of a value; the last one if a key repeats, as JSON readers do.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Returns a value that is neither missing nor `null`.
    pub(super) fn some(&self, key: &str) -> Option<&'a str> {
        self.get(key).filter(|value| *value != "null")
    }

    /// Returns a string value; `None` if missing or of another type.
    pub(super) fn string(&self, key: &str) -> Option<String> {
        self.get(key).and_then(string)
    }

    /// Returns the members in order.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), *value))
    }

    /// Writes the object again with the named members' values changed, in place; a new member goes to the end.
    pub(super) fn with(&self, changes: &[(&str, String)]) -> String {
        let change = |key: &str| changes.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        let mut object = ObjectText::default();
        for (key, value) in self.members() {
            object.raw(key, change(key).unwrap_or(value));
        }
        for (key, value) in changes.iter().filter(|(key, _)| self.get(key).is_none()) {
            object.raw(key, value);
        }
        object.finish()
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push((key, value.get()));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Reads a JSON string.
pub(super) fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// Reads a JSON array as the texts of its elements.
pub(super) fn array(json: &str) -> Option<Vec<&str>> {
    serde_json::from_str::<Vec<&RawValue>>(json).ok().map(|items| items.into_iter().map(RawValue::get).collect())
}

/// Writes a text as a JSON string.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes element texts as a JSON array.
pub(super) fn array_text<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", items.join(","))
}

/// A JSON object being written.
#[derive(Debug, Default)]
pub(super) struct ObjectText(String);

impl ObjectText {
    /// Adds a member whose value is JSON text already.
    pub(super) fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&quote(key));
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    /// Adds a string member.
    pub(super) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, &quote(value))
    }

    /// Returns the object's text.
    pub(super) fn finish(&mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        std::mem::take(&mut self.0)
    }
}

/// Returns how deep a valid JSON text nests: 0 for a scalar.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
