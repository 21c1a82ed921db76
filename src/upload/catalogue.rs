//! The server's lists, fetched when they are first needed and kept for a while, for all samples together.
//!
//! What a sample lacks by them is [`crate::preflight`]'s to say. Here it is seen to that no sample is blocked by a list
//! that is no longer true, and that lists which a server does not have keep nobody from uploading to it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use super::disposition::Fault;
use crate::flow::{Client, DataType, Error, MetadataAttribute, Options, Organism, Project, SampleType};
use crate::preflight::{self, Lists, Miss, Said, Term, beyond_lists, project_by_name};

/// How long a list is good for, unless something is missing from it.
const KEPT: Duration = Duration::from_secs(600);
/// How old a list may be by which a sample is blocked: a thousand wrong samples do not fetch it a thousand times.
const FRESH: Duration = Duration::from_secs(2);

/// The lists of one server, as one account sees them.
#[derive(Debug)]
pub struct Catalogue {
    client: Client,
    fresh: Duration,
    /// When somebody said last that it may be otherwise now: what was asked for before is good for nothing.
    renewed: RwLock<Option<Instant>>,
    sample_types: Kept<Vec<SampleType>>,
    attributes: Kept<Vec<MetadataAttribute>>,
    organisms: Kept<Vec<Organism>>,
    projects: Kept<Vec<Project>>,
    data_types: Kept<Vec<DataType>>,
    /// What the account is called.
    account: OnceCell<String>,
    /// Values that were looked for beyond the lists.
    options: Mutex<HashMap<Term, (Age, Options)>>,
}

/// What came of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    pub misses: Vec<Miss>,
    /// The id of the project that is named by its name alone.
    pub project: Option<String>,
    /// What the server has no list of, so that nothing was checked by it.
    pub unlisted: Vec<&'static str>,
}

impl Catalogue {
    /// Nothing is asked before the first check.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            fresh: FRESH,
            renewed: RwLock::default(),
            sample_types: Kept::default(),
            attributes: Kept::default(),
            organisms: Kept::default(),
            projects: Kept::default(),
            data_types: Kept::default(),
            account: OnceCell::default(),
            options: Mutex::default(),
        }
    }

    /// Has the lists fetched anew, once they are needed, that were asked for before `at`: a person has mended something
    /// since.
    pub fn renew(&self, at: std::time::Instant) {
        let mut renewed = self.renewed.write().unwrap_or_else(PoisonError::into_inner);
        *renewed = (*renewed).max(Some(Instant::from_std(at)));
    }

    /// Checks what is said of one thing by the lists that it needs. Where something is wrong by lists of some age, they
    /// are fetched anew first.
    ///
    /// # Errors
    /// Lists that cannot be had now: a fault of the server or the network, or a token that is not taken.
    pub async fn check(&self, said: &Said) -> Result<Checked, Error> {
        let checked = self.check_by(said, self.no_older_than(KEPT)).await?;
        if checked.misses.is_empty() {
            return Ok(checked);
        }
        self.check_by(said, self.no_older_than(self.fresh)).await
    }

    fn no_older_than(&self, age: Duration) -> Oldest {
        let renewed = *self.renewed.read().unwrap_or_else(PoisonError::into_inner);
        Oldest { answered: Instant::now().checked_sub(age), asked: renewed }
    }

    async fn check_by(&self, said: &Said, oldest: Oldest) -> Result<Checked, Error> {
        let mut lists = self.lists(said, oldest).await?;
        for term in beyond_lists(said, &lists) {
            if let Some(options) = self.options_for(&term, oldest).await? {
                lists.options.insert(term, options);
            }
        }
        if lists.projects.as_ref().is_some_and(|projects| projects.is_empty()) {
            lists.account = self.account().await;
        }
        let misses = preflight::check(said, &lists);
        let needed = match said {
            Said::Sample { organism, project, project_name, .. } => vec![
                ("sample types", true, lists.sample_types.is_some()),
                ("metadata", true, lists.attributes.is_some()),
                ("organisms", organism.is_some(), lists.organisms.is_some()),
                ("projects", project.is_some() || project_name.is_some(), lists.projects.is_some()),
            ],
            Said::Data { data_type } => vec![("data types", data_type.is_some(), lists.data_types.is_some())],
            Said::Multiplexed => Vec::new(),
        };
        let unlisted = needed.into_iter().filter(|(_, is_needed, is_there)| *is_needed && !is_there);
        Ok(Checked {
            misses,
            project: project_by_name(said, &lists),
            unlisted: unlisted.map(|(name, ..)| name).collect(),
        })
    }

    async fn lists(&self, said: &Said, oldest: Oldest) -> Result<Lists, Error> {
        let mut lists = Lists::default();
        let (samples, data) = (self.client.samples(), self.client.data());
        match said {
            Said::Sample { organism, project, project_name, .. } => {
                let organisms = async {
                    match organism {
                        Some(_) => self.organisms.get(oldest, "organisms", samples.get_organisms()).await,
                        None => Ok(None),
                    }
                };
                let projects = async {
                    match project.as_ref().or(project_name.as_ref()) {
                        Some(_) => {
                            let owned = samples.get_owned_projects().collect_all();
                            self.projects.get(oldest, "projects", owned).await
                        }
                        None => Ok(None),
                    }
                };
                let fetched = tokio::join!(
                    self.sample_types.get(oldest, "sample types", samples.get_types()),
                    self.attributes.get(oldest, "metadata", samples.get_metadata_attributes()),
                    organisms,
                    projects
                );
                lists.sample_types = fetched.0?;
                lists.attributes = fetched.1?;
                lists.organisms = fetched.2?;
                lists.projects = fetched.3?;
            }
            Said::Data { data_type: Some(_) } => {
                lists.data_types = self.data_types.get(oldest, "data types", data.get_data_types()).await?;
            }
            Said::Data { data_type: None } | Said::Multiplexed => {}
        }
        Ok(lists)
    }

    /// For a person; that it cannot be had now is no reason to keep anything back.
    async fn account(&self) -> Option<String> {
        let ask = || async { self.client.me().await.ok().and_then(|me| me.username.or(me.id)).ok_or(()) };
        self.account.get_or_try_init(ask).await.ok().cloned()
    }

    /// The options of a closed attribute that contain a value; `None` where they cannot be looked up.
    async fn options_for(&self, term: &Term, oldest: Oldest) -> Result<Option<Options>, Error> {
        let mut kept = self.options.lock().await;
        if let Some((_, options)) = kept.get(term).filter(|(age, _)| oldest.allows(age)) {
            return Ok(Some(options.clone()));
        }
        let (attribute, value) = term;
        let asked = Instant::now();
        match self.client.samples().get_options(attribute, Some(value)).await {
            Ok(options) => {
                kept.retain(|_, (age, _)| age.answered.elapsed() < KEPT);
                kept.insert(term.clone(), (Age::since(asked), options.clone()));
                Ok(Some(options))
            }
            Err(error) if Absence::of(&error).is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// When something was asked for, and when it came.
#[derive(Debug, Clone, Copy)]
struct Age {
    asked: Instant,
    answered: Instant,
}

/// How old something may be; `None`: of any age.
#[derive(Debug, Clone, Copy)]
struct Oldest {
    answered: Option<Instant>,
    /// What was asked for earlier may be of before, however late it came.
    asked: Option<Instant>,
}

impl Age {
    /// Of what came just now.
    fn since(asked: Instant) -> Self {
        Self { asked, answered: Instant::now() }
    }
}

impl Oldest {
    fn allows(&self, age: &Age) -> bool {
        self.was_asked_since(age) && self.answered.is_none_or(|oldest| age.answered >= oldest)
    }

    fn was_asked_since(&self, age: &Age) -> bool {
        self.asked.is_none_or(|oldest| age.asked >= oldest)
    }
}

/// A list as it was fetched last. Whoever needs it meanwhile waits, and does not ask as well.
#[derive(Debug)]
struct Kept<T>(Mutex<Option<Fetched<T>>>);

#[derive(Debug)]
struct Fetched<T> {
    age: Age,
    /// `Err`: the server does not give it.
    list: Result<Arc<T>, Absence>,
}

/// Why a list is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// The server knows no such list, and is not asked again by itself.
    Unknown,
    /// It refuses it, or gives something that cannot be read.
    Withheld,
}

impl Absence {
    /// Of an answer after which there is nothing to wait for.
    fn of(error: &Error) -> Option<Self> {
        let is_answered = matches!(error, Error::Lost { is_answered: true, .. });
        match error.status() {
            Some(404) => Some(Self::Unknown),
            Some(401) => None,
            // An attribute whose name cannot stand in a path cannot be asked about.
            _ if is_answered || matches!(error, Error::Invalid { .. }) => Some(Self::Withheld),
            Some(_) => Fault::of(error).is_none().then_some(Self::Withheld),
            None => None,
        }
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// The list, fetched unless it is young enough; `None` where the server does not give it.
    async fn get(
        &self,
        oldest: Oldest,
        what: &str,
        fetch: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<Arc<T>>, Error> {
        let mut kept = self.0.lock().await;
        let is_good = |fetched: &&Fetched<T>| match fetched.list {
            Err(Absence::Unknown) => oldest.was_asked_since(&fetched.age),
            _ => oldest.allows(&fetched.age),
        };
        if let Some(fetched) = kept.as_ref().filter(is_good) {
            return Ok(fetched.list.as_ref().ok().cloned());
        }
        let asked = Instant::now();
        let list = match fetch.await {
            Ok(list) => Ok(Arc::new(list)),
            Err(error) => match Absence::of(&error) {
                Some(absence) => {
                    tracing::warn!(%error, "the server gives no list of its {what}: nothing is checked by it");
                    Err(absence)
                }
                None => return Err(error),
            },
        };
        let given = list.as_ref().ok().cloned();
        *kept = Some(Fetched { age: Age::since(asked), list });
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::{ClientConfig, TokenCredentials};
    use crate::preflight::Given;
    use crate::sandbox::{self, Fault, On, Reply, Sandbox};

    fn said(project: &str, cell_line: &str) -> Said {
        let value = |text: &str| Given::Value(text.to_owned());
        Said::Sample {
            sample_type: value("RNA-Seq"),
            organism: None,
            project: Some(value(project)),
            project_name: None,
            metadata: vec![("cell_line".to_owned(), value(cell_line))],
        }
    }

    async fn catalogue(dir: &tempfile::TempDir) -> (Sandbox, Catalogue) {
        let sandbox = Sandbox::start(sandbox::Settings::new(dir.path())).await.unwrap();
        let client = Client::new(sandbox.base_url(), ClientConfig::default()).unwrap();
        client.log_in(&TokenCredentials::new(sandbox.token())).await.unwrap();
        (sandbox, Catalogue::new(client))
    }

    #[tokio::test]
    async fn nothing_is_wrong_by_a_list_that_is_not_fresh() {
        let dir = tempfile::tempdir().unwrap();
        let (sandbox, catalogue) = catalogue(&dir).await;
        let asked = |path: &str| sandbox.requests().iter().filter(|request| request.path == path).count();
        let older = json!({ "count": 1, "page": 1, "projects": [{ "id": "1", "name": "Old" }] });
        let older = || Fault::on(On::get("/projects/owned")).answer(Reply::json(200, &older)).times(1);
        let core = said("788995297969977723", "CL-0001");

        sandbox.faults().add(older());
        let misses = catalogue.check(&core).await.unwrap().misses;
        assert_eq!((misses.len(), asked("/projects/owned")), (1, 1), "what was just fetched is believed");
        catalogue.renew(std::time::Instant::now());
        assert_eq!(catalogue.check(&core).await.unwrap().misses, [], "unless a person has mended it since");
        assert_eq!(asked("/projects/owned"), 2);

        let catalogue = Catalogue { fresh: Duration::ZERO, ..Catalogue::new(catalogue.client) };
        sandbox.faults().add(older());
        assert_eq!(catalogue.check(&core).await.unwrap().misses, [], "the project was made since");
        assert_eq!(asked("/projects/owned"), 4);
        assert_eq!(catalogue.check(&core).await.unwrap().misses, []);
        assert_eq!(asked("/projects/owned"), 4, "what is right by an older list is right");
        assert_eq!(catalogue.check(&said("1", "CL-0001")).await.unwrap().misses.len(), 1);
        assert_eq!(asked("/projects/owned"), 5);
    }

    #[tokio::test]
    async fn what_was_asked_for_before_somebody_mended_it_is_of_before_however_late_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let (sandbox, catalogue) = catalogue(&dir).await;
        let asked = || sandbox.requests().iter().filter(|request| request.path == "/projects/owned").count();
        let gate = sandbox::Gate::new();
        let late = Fault::on(On::get("/projects/owned")).delay_after(Duration::ZERO).until(&gate);
        sandbox.faults().add(late.times(1));
        let core = said("788995297969977723", "CL-0001");
        let mend = async {
            while sandbox.faults().fired() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            catalogue.renew(std::time::Instant::now());
            // Asked before the late answer comes.
            let (checked, ()) = tokio::join!(catalogue.check(&core), async { gate.open() });
            checked.unwrap().misses
        };
        let both = async { tokio::join!(catalogue.check(&core), mend) };
        let (_, misses) = tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
        assert_eq!((misses, asked()), (Vec::new(), 2));
    }

    #[tokio::test]
    async fn a_value_beyond_a_list_that_is_cut_is_looked_for_once() {
        let dir = tempfile::tempdir().unwrap();
        let (sandbox, catalogue) = catalogue(&dir).await;
        let asked = || sandbox.requests().iter().filter(|request| request.path.ends_with("/cell_line/options")).count();
        for _ in 0..2 {
            let misses = catalogue.check(&said("788995297969977723", "CL-0200")).await.unwrap().misses;
            assert_eq!((misses, asked()), (Vec::new(), 2));
        }
        let misses = catalogue.check(&said("788995297969977723", "CL-0241")).await.unwrap().misses;
        assert_eq!(misses[0].key, "metadata.cell_line");
    }
}
