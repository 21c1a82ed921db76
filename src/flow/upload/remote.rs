//! What the state machine asks of a server. The client is one; the tests have another, in memory, that loses answers
//! and works on behind them.

use std::future::Future;

use crate::flow::chunk::{ChunkAnswer, ChunkFailure, ChunkRequest};
use crate::flow::client::Client;
use crate::flow::config::ClientConfig;
use crate::flow::data::Data;
use crate::flow::error::Error;
use crate::flow::samples::SampleDetails;

pub(super) trait Remote: Sync {
    fn config(&self) -> &ClientConfig;

    /// Makes files that are begun from now on start with chunks of no more than `bytes`.
    fn learn_chunk_size(&self, bytes: u64);

    /// Sends one chunk, once.
    fn send_chunk(&self, request: &ChunkRequest<'_>) -> impl Future<Output = Result<ChunkAnswer, ChunkFailure>> + Send;

    /// A file of ours, if it is ready.
    fn find_file(&self, id: &str) -> impl Future<Output = Result<Option<Data>, Error>> + Send;

    /// The sample of ours of this name that holds one of these files, if there is one.
    fn find_sample(
        &self,
        name: &str,
        data_ids: &[String],
    ) -> impl Future<Output = Result<Option<SampleDetails>, Error>> + Send;
}

impl Remote for Client {
    fn config(&self) -> &ClientConfig {
        Client::config(self)
    }

    fn learn_chunk_size(&self, bytes: u64) {
        Client::learn_chunk_size(self, bytes);
    }

    async fn send_chunk(&self, request: &ChunkRequest<'_>) -> Result<ChunkAnswer, ChunkFailure> {
        Client::send_chunk(self, request).await
    }

    async fn find_file(&self, id: &str) -> Result<Option<Data>, Error> {
        self.data().get_own_data(id).await
    }

    async fn find_sample(&self, name: &str, data_ids: &[String]) -> Result<Option<SampleDetails>, Error> {
        self.samples().holding_any_of(name, data_ids).await
    }
}
