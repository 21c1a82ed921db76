//! Requests to any path: JSON in and out, or the answer as it was sent. The way to what has no method yet.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{Client, read_body, read_json};
use super::error::Error;

/// Paths are below the base URL, with or without a slash in front. The token goes along, and is refreshed as for
/// every other request. A request is repeated only while no connection can be made: nothing was sent then.
impl Client {
    /// Sends a GET and reads the JSON answer.
    ///
    /// ```no_run
    /// # async fn example(client: flow_ingest::flow::Client) -> Result<(), flow_ingest::flow::Error> {
    /// let found: serde_json::Value = client.get("/samples/search", &[("name", "RNA01"), ("owned", "true")]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Lost`] or [`Error::Refused`]. An answer that is not the JSON that `T` expects
    /// counts as lost.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, Error> {
        let answer = self.send(Method::GET, path, |request| request.query(query)).await?;
        read_json(&format!("GET {path}"), answer).await
    }

    /// Sends a POST with a JSON body and reads the JSON answer.
    ///
    /// # Errors
    /// As for [`Client::get`]. After [`Error::Lost`] the server may have done what was asked.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T, Error> {
        let answer = self.send(Method::POST, path, |request| request.json(body)).await?;
        read_json(&format!("POST {path}"), answer).await
    }

    /// Sends a PATCH with a JSON body and reads the JSON answer.
    ///
    /// # Errors
    /// As for [`Client::post`].
    pub async fn patch<T: DeserializeOwned>(&self, path: &str, body: &(impl Serialize + Sync)) -> Result<T, Error> {
        let answer = self.send(Method::PATCH, path, |request| request.json(body)).await?;
        read_json(&format!("PATCH {path}"), answer).await
    }

    /// Sends a GET; the answer's body, byte for byte.
    ///
    /// # Errors
    /// As for [`Client::get`], but that any body is an answer.
    pub async fn get_raw(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
        let answer = self.send(Method::GET, path, |request| request.query(query)).await?;
        read_body(&format!("GET {path}"), answer).await
    }

    /// Sends a POST whose body is a JSON document, byte for byte; the answer's body, byte for byte.
    ///
    /// # Errors
    /// As for [`Client::post`], but that any body is an answer.
    pub async fn post_raw(&self, path: &str, body: impl Into<Bytes>) -> Result<Vec<u8>, Error> {
        self.send_raw(Method::POST, path, body.into()).await
    }

    /// Sends a PATCH whose body is a JSON document, byte for byte; the answer's body, byte for byte.
    ///
    /// # Errors
    /// As for [`Client::post_raw`].
    pub async fn patch_raw(&self, path: &str, body: impl Into<Bytes>) -> Result<Vec<u8>, Error> {
        self.send_raw(Method::PATCH, path, body.into()).await
    }

    async fn send_raw(&self, method: Method, path: &str, body: Bytes) -> Result<Vec<u8>, Error> {
        let name = format!("{method} {path}");
        let prepare =
            |request: reqwest::RequestBuilder| request.header(CONTENT_TYPE, "application/json").body(body.clone());
        let answer = self.send(method, path, prepare).await?;
        read_body(&name, answer).await
    }
}

/// `text` as one part of a path: what would end the part, or begin a query, is escaped.
///
/// # Errors
/// [`Error::Invalid`] for what cannot be a part: nothing, `.` and `..`.
pub(super) fn path_part(what: &str, text: &str) -> Result<String, Error> {
    if matches!(text, "" | "." | "..") {
        return Err(Error::Invalid { reason: format!("'{text}' is no {what}") });
    }
    let mut part = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => part.push(char::from(byte)),
            _ => part.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::path_part;

    #[test]
    fn a_part_of_a_path_stays_one_part() {
        assert_eq!(path_part("id", "788995297969977723").unwrap(), "788995297969977723");
        assert_eq!(path_part("id", "a/../b?c#d%2F é").unwrap(), "a%2F..%2Fb%3Fc%23d%252F%20%C3%A9");
        for text in ["", ".", ".."] {
            assert_eq!(path_part("id", text).unwrap_err().to_string(), format!("'{text}' is no id"));
        }
    }
}
