//! Two groups of files that come out with one name: what is said of it, and what to do.

use std::collections::BTreeSet;
use std::path::Path;

use super::group::{Group, alike};
use crate::pattern::Pattern;
use crate::sample::path_to_text;
use crate::watch::FileView;

/// Two groups that come out with one name, and how many more do.
pub(super) fn clash(name: &str, a: &Group<'_>, b: &Group<'_>, more: usize) -> String {
    let [first, second] = [a, b].map(|group| path_to_text(&group.first().below_run));
    let are_in_two_folders = a.rule.keeps_folders_apart && a.captured() == b.captured();
    let remedy = match are_in_two_folders {
        true => {
            "they lie in two folders, which no capture of the layout tells apart: give the rule a match that captures \
             the folder and use it in the name"
        }
        false => "capture what tells them apart and use it in the name",
    };
    let remedy = match joining(a, b) {
        Some(pattern) => format!(
            "if they are lanes, parts or mates of one sample that lie in folders of their own, give the rule a match \
             of its own that has * for the folder, which joins them (match: '{pattern}'); if they are two samples, \
             {remedy}"
        ),
        None => remedy.to_owned(),
    };
    format!(
        "two groups of files come out with the name {name}: {first} (rule {}) and {second} (rule {}){}; {remedy}",
        a.rule.name,
        b.rule.name,
        if more > 0 { format!(" and {more} more") } else { String::new() }
    )
}

/// The pattern that would make one sample of two groups of a rule, if any would: they are alike but for the folder, and
/// each file has a read, a lane or a part of its own.
fn joining(a: &Group<'_>, b: &Group<'_>) -> Option<Pattern> {
    if !std::ptr::eq(a.rule, b.rule) {
        return None;
    }
    let text = |file: &FileView| file.below_run.to_str().map(str::to_owned);
    let by = a.rule.pattern.iter().find(|pattern| text(a.first()).is_some_and(|path| pattern.is_match(&path)))?;
    let form = by.to_string();
    let name = form.rsplit('/').next()?;
    let folder = |group: &Group<'_>| group.first().below_run.parent().map(Path::to_owned);
    let pattern = Pattern::parse(&format!("{}{name}", both(&folder(a)?, &folder(b)?)?)).ok()?;
    let captured: Option<Vec<_>> =
        a.reads().chain(b.reads()).map(|file| pattern.captures(text(file)?.as_str())).collect();
    let captured = captured?;
    let is_one = captured.windows(2).all(|pair| alike(&pair[0]) == alike(&pair[1]));
    let places: BTreeSet<_> =
        captured.iter().map(|captures| ["read", "lane", "part"].map(|name| captures.get(name))).collect();
    (is_one && places.len() == captured.len()).then_some(pattern)
}

/// A pattern of two folders, with a slash at its end: `*` where one component is another, any depth where one lies
/// deeper.
fn both(a: &Path, b: &Path) -> Option<String> {
    let [a, b]: [Vec<&str>; 2] = [a.to_str()?, b.to_str()?].map(|folder| folder.split('/').collect());
    if a.len() != b.len() {
        return Some("**/".to_owned());
    }
    let is_plain = |name: &str| !name.contains(['*', '?', '{', '}', '[', ']', '\\']);
    let component = |(a, b): (&&str, &&str)| if a == b && is_plain(a) { format!("{a}/") } else { "*/".to_owned() };
    Some(a.iter().zip(&b).map(component).collect())
}
