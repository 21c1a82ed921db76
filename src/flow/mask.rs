//! What a server must not put into our mouth: an answer may repeat the token or the password that the request bore, and
//! its words go into error texts, logs and the journal.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What stands in a secret's place.
const HIDDEN: &str = "[secret]";

/// What is shorter than this is looked for in vain: it is part of half the words that there are.
const SHORTEST: usize = 4;

/// The secrets of a request, in every form in which an answer may repeat them. It travels with the answer.
#[derive(Clone, Default)]
pub(super) struct Mask {
    /// Longer ones first: one form may be the beginning of another.
    forms: Vec<SecretString>,
}

impl Mask {
    pub fn of(secrets: &[&str]) -> Self {
        let mut forms: Vec<String> = secrets.iter().filter(|secret| secret.len() >= SHORTEST).flat_map(forms).collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Self { forms: forms.into_iter().map(SecretString::from).collect() }
    }

    /// The text without the secrets.
    pub fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for form in self.forms.iter().map(ExposeSecret::expose_secret) {
            if hidden.contains(form) {
                hidden = hidden.replace(form, HIDDEN);
            }
        }
        hidden
    }

    /// Hides the secrets in every text of a document.
    pub fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.hide(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide_in(item)),
            Value::Object(members) => {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|(key, mut value)| {
                        self.hide_in(&mut value);
                        (self.hide(&key), value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A secret as it is, escaped as in an address, a JSON text or a page, and in base 64.
fn forms(secret: &&str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let percent = |is_plain: fn(u8) -> bool, upper: bool| -> String {
        let escaped = bytes.iter().map(|byte| match (is_plain(*byte), upper) {
            (true, _) => char::from(*byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        });
        escaped.collect()
    };
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let json = Value::from(*secret).to_string();
    let page = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    vec![
        (*secret).to_owned(),
        percent(unreserved, true),
        percent(unreserved, false),
        json[1..json.len() - 1].to_owned(),
        page.replace('"', "&quot;").replace('\'', "&#x27;"),
        page.replace('"', "&#34;").replace('\'', "&#39;"),
        BASE64.encode(bytes),
        BASE64_NOPAD.encode(bytes),
        BASE64URL_NOPAD.encode(bytes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_hidden_in_each_of_its_forms() {
        let mask = Mask::of(&["s3cr/et\"&"]);
        for form in ["s3cr/et\"&", "s3cr%2Fet%22%26", "s3cr%2fet%22%26", r#"s3cr/et\"&"#, "s3cr/et&quot;&amp;"] {
            assert_eq!(mask.hide(&format!("<{form}>")), "<[secret]>", "{form}");
        }
        assert_eq!(mask.hide(&format!("a {} b", BASE64.encode(b"s3cr/et\"&"))), "a [secret] b");
        let mut body = json!({"s3cr/et\"&": [1, {"error": "no s3cr/et\"& here"}], "other": null});
        mask.hide_in(&mut body);
        assert_eq!(body, json!({"[secret]": [1, {"error": "no [secret] here"}], "other": null}));
    }

    #[test]
    fn what_is_too_short_or_empty_hides_nothing() {
        assert_eq!(Mask::of(&["", "abc"]).hide("abc"), "abc");
    }
}
