//! Takes fields out of the JSON of objects. What is not there is empty; what is something else than it
//! should be is named with its path.
//!
//! Written out rather than derived: for thirty kinds of parts, derived code is a quarter of a megabyte of a
//! program that is copied to every host.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A field that is not what it should be.
#[derive(Debug)]
pub(super) struct Wrong {
    path: String,
    wanted: &'static str,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not {}", self.path, self.wanted)
    }
}

/// It is something else than what was wanted.
pub(super) fn wrong(wanted: &'static str) -> Wrong {
    Wrong {
        path: String::new(),
        wanted,
    }
}

/// Something that is read from JSON; from null, where nothing was written.
pub(super) trait Field: Sized {
    fn read(value: &Value) -> Result<Self, Wrong>;
}

/// A field of an object.
pub(super) fn field<T: Field>(object: &Value, name: &str) -> Result<T, Wrong> {
    T::read(&object[name]).map_err(|mut wrong| {
        wrong.path.insert_str(0, name);
        wrong.path.insert(0, '.');
        wrong
    })
}

/// Refuses what has no fields.
pub(super) fn fields(value: &Value) -> Result<(), Wrong> {
    match value {
        Value::Null | Value::Object(_) => Ok(()),
        _ => Err(wrong("an object")),
    }
}

impl Field for String {
    fn read(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Null => Ok(Self::new()),
            Value::String(text) => Ok(text.clone()),
            _ => Err(wrong("text")),
        }
    }
}

impl Field for bool {
    fn read(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Null => Ok(false),
            Value::Bool(yes) => Ok(*yes),
            _ => Err(wrong("true or false")),
        }
    }
}

/// Numbers of each kind.
macro_rules! number {
    ($($kind:ident $take:ident $wanted:literal),*) => {$(
        impl Field for $kind {
            fn read(value: &Value) -> Result<Self, Wrong> {
                match value {
                    Value::Null => Ok(Self::default()),
                    value => value.$take().ok_or_else(|| wrong($wanted)),
                }
            }
        }
    )*};
}
number!(u64 as_u64 "a whole number above 0", i64 as_i64 "a whole number", f64 as_f64 "a number");

impl Field for Value {
    fn read(value: &Value) -> Result<Self, Wrong> {
        Ok(value.clone())
    }
}

impl Field for jiff::Timestamp {
    fn read(value: &Value) -> Result<Self, Wrong> {
        let time = value.as_str().and_then(|text| text.parse().ok());
        time.ok_or_else(|| wrong("a time"))
    }
}

impl<T: Field> Field for Option<T> {
    fn read(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Null => Ok(None),
            value => T::read(value).map(Some),
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(value: &Value) -> Result<Self, Wrong> {
        match value {
            Value::Null => Ok(Self::new()),
            Value::Array(items) => items.iter().map(T::read).collect(),
            _ => Err(wrong("a list")),
        }
    }
}

impl Field for BTreeMap<String, String> {
    fn read(value: &Value) -> Result<Self, Wrong> {
        fields(value)?;
        let mut map = Self::new();
        for (name, value) in value.as_object().into_iter().flatten() {
            map.insert(name.clone(), String::read(value)?);
        }
        Ok(map)
    }
}

/// A part of an object: each field with the name that it has there.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "the fields are named as in the API")]
        pub struct $name {
            $(pub $field: $kind,)*
        }

        impl $crate::storage::objects::field::Field for $name {
            fn read(value: &serde_json::Value) -> Result<Self, $crate::storage::objects::field::Wrong> {
                use $crate::storage::objects::field::{field, fields};
                fields(value)?;
                Ok(Self { $($field: field(value, $key)?,)* })
            }
        }
    };
}
pub(super) use object;

/// One of some words.
macro_rules! words {
    ($name:ident, $wanted:literal, $($key:pat => $value:ident),*) => {
        impl $crate::storage::objects::field::Field for $name {
            fn read(value: &serde_json::Value) -> Result<Self, $crate::storage::objects::field::Wrong> {
                match value.as_str() {
                    $($key => Ok(Self::$value),)*
                    _ => Err($crate::storage::objects::field::wrong($wanted)),
                }
            }
        }
    };
}
pub(super) use words;
