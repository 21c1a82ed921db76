//! `flow-ingest check --online`: the account, and every rule by the server's own lists.

use std::path::Path;

use serde::Serialize;

use super::{Check, CommandError, Exit};
use crate::config::Config;
use crate::flow::{Client, Error, Me};
use crate::manifest::{Output, Rule, Template};
use crate::preflight::{Given, Miss, Said};
use crate::upload::{Catalogue, Checked};

/// What came of asking Flow.
pub(super) struct Online {
    pub checks: Vec<Check>,
    pub misses: Vec<RuleMiss>,
    pub exit: Exit,
}

/// A value of a rule that Flow would not take.
#[derive(Debug, Serialize)]
pub(super) struct RuleMiss {
    manifest: String,
    /// The watches that the manifest applies to.
    watches: Vec<String>,
    rule: String,
    #[serde(flatten)]
    miss: Miss,
}

/// Logs in, and checks every rule of every manifest.
///
/// # Errors
/// When no client can be built.
pub(super) async fn check(config: &Config) -> Result<Online, CommandError> {
    let client = config.flow.client()?;
    let what = format!("account at {}", config.flow.base_url);
    let mut online = Online { checks: Vec::new(), misses: Vec::new(), exit: Exit::Success };
    let me = match log_in(config, &client).await {
        Ok(me) => me,
        Err(error) => {
            let error = CommandError::LogIn(error);
            online.checks.push(Check::new(what, Err(error.to_string())));
            online.exit = error.exit();
            return Ok(online);
        }
    };
    let name = me.username.or(me.id).unwrap_or_else(|| "an account without a name".to_owned());
    online.checks.push(Check::new(what, Ok(name)));

    let catalogue = Catalogue::new(client);
    for (manifest, rule, watches) in rules(config) {
        let what = format!("rule {}", rule.name);
        let checked = match catalogue.check(&said(rule)).await {
            Ok(checked) => checked,
            Err(error) => {
                let detail = format!("cannot ask Flow for its lists: {error}");
                online.checks.push(Check::new(what, Err(detail)));
                online.exit = CommandError::Flow(error).exit();
                return Ok(online);
            }
        };
        let detail = match checked.misses.as_slice() {
            [] => well(&checked),
            misses => misses.iter().map(|miss| miss.message.as_str()).collect::<Vec<_>>().join("; "),
        };
        let misses = checked.misses.clone();
        online.misses.extend(checked.misses.into_iter().map(|miss| RuleMiss {
            manifest: manifest.display().to_string(),
            watches: watches.clone(),
            rule: rule.name.clone(),
            miss: Miss { message: format!("{what}: {}", miss.message), ..miss },
        }));
        online.checks.push(Check { ok: misses.is_empty(), misses, ..Check::new(what, Ok(detail)) });
    }
    if !online.misses.is_empty() {
        online.exit = Exit::Usage;
    }
    Ok(online)
}

async fn log_in(config: &Config, client: &Client) -> Result<Me, Error> {
    config.flow.credentials.log_in(client).await?;
    client.me().await
}

fn well(checked: &Checked) -> String {
    let unlisted = checked.unlisted.join(", ");
    match unlisted.as_str() {
        "" => "Flow knows what it says".to_owned(),
        _ => format!("nothing is known against it; this server has no list of its {unlisted}"),
    }
}

/// Each rule of each manifest once, and the watches that it applies to.
fn rules(config: &Config) -> Vec<(&Path, &Rule, Vec<String>)> {
    let mut rules: Vec<(&Path, &Rule, Vec<String>)> = Vec::new();
    for watched in &config.watches {
        let watch = &watched.watch.name;
        for rule in &watched.manifest.rules {
            let manifest = watched.manifest_file.as_path();
            match rules.iter_mut().find(|(file, other, _)| *file == manifest && other.name == rule.name) {
                Some((.., watches)) => watches.push(watch.clone()),
                None => rules.push((manifest, rule, vec![watch.clone()])),
            }
        }
    }
    rules
}

/// What a rule says whatever the files are.
fn said(rule: &Rule) -> Said {
    let given = |template: &Template| template.constant().map_or(Given::Later, Given::Value);
    let maybe = |template: &Option<Template>| template.as_ref().map(given);
    match &rule.output {
        Output::Sample(sample) => Said::Sample {
            sample_type: given(&sample.sample_type),
            organism: maybe(&sample.organism),
            project: maybe(&sample.project.id),
            project_name: maybe(&sample.project.name),
            metadata: sample.metadata.iter().map(|(key, value)| (key.clone(), given(value))).collect(),
        },
        Output::Data(data) => Said::Data { data_type: maybe(&data.data_type) },
        Output::Multiplexed(_) => Said::Multiplexed,
    }
}
