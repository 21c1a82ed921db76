//! Long lists that the server gives a page at a time.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::client::Client;
use super::error::Error;

/// The largest page that the server gives (endpoint notes).
const LARGEST_PAGE: usize = 100;

/// A list on the server, fetched a page at a time and only as far as it is read.
///
/// It is a [`Stream`] of results, and can be read without one:
///
/// ```no_run
/// # async fn example(client: flow_ingest::flow::Client) -> Result<(), flow_ingest::flow::Error> {
/// let mut projects = client.samples().get_owned_projects();
/// println!("{} projects", projects.total().await?);
/// while let Some(project) = projects.next().await? {
///     println!("{}: {}", project.id, project.name);
/// }
/// # Ok(())
/// # }
/// ```
///
/// The server counts pages anew for each request: what is added or removed on the server while the list is read can
/// make it show an item twice or not at all. After an error the same page is asked for again.
pub struct Pages<T> {
    client: Client,
    list: List,
    page_size: usize,
    /// The page to be asked for next, counted from 1.
    page: usize,
    seen: usize,
    total: Option<usize>,
    is_end: bool,
    items: VecDeque<T>,
    fetching: Option<BoxFuture<'static, Result<Page<T>, Error>>>,
}

/// Which list.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub path: &'static str,
    /// The member of the answer that holds the items.
    pub key: &'static str,
    pub query: Vec<(&'static str, String)>,
    /// Whether a bad token finds nothing instead of being refused: then `GET /me` is asked before the first page.
    pub hides_bad_token: bool,
}

struct Page<T> {
    total: usize,
    items: Vec<T>,
}

impl<T: DeserializeOwned + Send + 'static> Pages<T> {
    pub(super) fn new(client: &Client, list: List) -> Self {
        Self {
            client: client.clone(),
            list,
            page_size: LARGEST_PAGE,
            page: 1,
            seen: 0,
            total: None,
            is_end: false,
            items: VecDeque::new(),
            fetching: None,
        }
    }

    /// Asks for pages of `items` items, 1 to 100, which is also the default. To be said before the first is read.
    #[must_use]
    pub fn page_size(mut self, items: usize) -> Self {
        self.page_size = items.clamp(1, LARGEST_PAGE);
        self
    }

    /// How many items the whole list has, as the server said with the latest page. Fetches the first one, if there
    /// was none yet, and none but that.
    ///
    /// # Errors
    /// What the request meets.
    pub async fn total(&mut self) -> Result<usize, Error> {
        loop {
            if let Some(total) = self.total {
                return Ok(total);
            }
            poll_fn(|context| self.poll_page(context)).await?;
        }
    }

    /// The next item; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// What the request for the next page meets. The call can be repeated.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }

    /// All items that were not read yet.
    ///
    /// # Errors
    /// What a request for a page meets.
    pub async fn collect_all(mut self) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await? {
            all.push(item);
        }
        Ok(all)
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let fetching = self
            .fetching
            .get_or_insert_with(|| fetch(self.client.clone(), self.list.clone(), self.page, self.page_size).boxed());
        let fetched = ready!(fetching.as_mut().poll(context));
        self.fetching = None;
        let page = fetched?;
        self.seen += page.items.len();
        self.is_end = page.items.is_empty() || self.seen >= page.total;
        self.page += 1;
        self.total = Some(page.total);
        self.items.extend(page.items);
        Poll::Ready(Ok(()))
    }
}

/// Items are moved, never pinned.
impl<T> Unpin for Pages<T> {}

impl<T: DeserializeOwned + Send + 'static> Stream for Pages<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.is_end {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(self.poll_page(context)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, page, total, .. } = self;
        f.debug_struct("Pages").field("list", list).field("page", page).field("total", total).finish_non_exhaustive()
    }
}

async fn fetch<T: DeserializeOwned>(
    client: Client,
    list: List,
    page: usize,
    page_size: usize,
) -> Result<Page<T>, Error> {
    #[derive(Deserialize)]
    struct Answer {
        count: usize,
        #[serde(flatten)]
        members: Map<String, Value>,
    }
    if list.hides_bad_token && page == 1 {
        client.me().await?;
    }
    let (number, count) = (page.to_string(), page_size.to_string());
    let mut query: Vec<(&str, &str)> = list.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query.extend([("page", number.as_str()), ("count", count.as_str())]);
    let mut answer: Answer = client.get(list.path, &query).await?;
    let unreadable =
        |reason| Error::lost(&format!("GET {}", list.path), format!("the answer cannot be read: {reason}"));
    let items = answer.members.remove(list.key).ok_or_else(|| unreadable(format!("it has no '{}'", list.key)))?;
    let items = Vec::deserialize(items).map_err(|error| unreadable(error.to_string()))?;
    Ok(Page { total: answer.count, items })
}
