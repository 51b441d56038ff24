//! The history of `nearwood recommend --history`: items with weights, as people type them.

use crate::error::QueryError;
use crate::{Index, Recommender};

use super::failure::Failure;
use super::options::find_item;
use super::progress::note;

/// The most commas that a name is tried with, so that long histories take no time.
const LONGEST: usize = 16;

/// Adds the items of `Radiohead:120,"Earth, Wind & Fire":3,1412` to a history.
///
/// Names may hold commas, colons and quotes themselves: whatever run of the text is an item as it
/// stands is taken as that, the longest first, before commas part it, colons end a name and double
/// quotes enclose one. With `skip_unknown` what is no item is left out and noted on standard error.
pub(super) fn read(
    recommender: &Recommender,
    text: &str,
    skip_unknown: bool,
    history: &mut Vec<(u32, f32)>,
) -> Result<(), Failure> {
    let items = recommender.items();
    let mut rest = text;
    while !rest.trim().is_empty() {
        let ends: Vec<usize> = ends(rest);
        let mut found = None;
        for &end in ends.iter().take(LONGEST).rev() {
            if let Some(entry) = entry(items, rest[..end].trim())? {
                found = Some((entry, end));
                break;
            }
        }
        let first = ends[0];
        let (entry, end) = match found {
            Some(found) => found,
            None if rest[..first].trim().is_empty() => {
                rest = after(rest, first);
                continue;
            }
            None => {
                let (name, weight) = named(rest[..first].trim());
                match items.find(&name) {
                    Err(unknown @ QueryError::UnknownId { .. }) if skip_unknown => {
                        note(&format!("left out: {unknown}"));
                        rest = after(rest, first);
                        continue;
                    }
                    _ => ((find_item(items, &name)?, weight), first),
                }
            }
        };
        history.push(entry);
        rest = after(rest, end);
    }
    Ok(())
}

/// The text behind the comma at `end`.
fn after(text: &str, end: usize) -> &str {
    text.get(end + 1..).unwrap_or("")
}

/// Where an entry may end: at each comma outside of double quotes, and at the end of the text.
fn ends(text: &str) -> Vec<usize> {
    let quotes = text.matches('"').count();
    let mut ends = Vec::new();
    let (mut quoted, mut begins, mut closed) = (false, true, None);
    for (at, c) in text.char_indices() {
        match c {
            '"' if quoted => (quoted, closed) = (false, Some(at)),
            // A quote opens at the start of an entry, if another one closes it; two are one.
            '"' if (begins && quotes > 1) || closed.is_some_and(|closed| at == closed + 1) => {
                quoted = true
            }
            ',' if !quoted => ends.push(at),
            _ => {}
        }
        begins = (begins && c.is_whitespace()) || (c == ',' && !quoted);
    }
    ends.push(text.len());
    ends
}

/// The item that `text` is, with a weight or without; `None` if it is none.
fn entry(items: &Index, text: &str) -> Result<Option<(u32, f32)>, Failure> {
    if let Some(position) = item(items, text)? {
        return Ok(Some((position, 1.0)));
    }
    if let Some((name, weight)) = weighted(text)
        && let Some(position) = item(items, name)?
    {
        return Ok(Some((position, weight)));
    }
    let (name, weight) = named(text);
    Ok(item(items, &name)?.map(|position| (position, weight)))
}

fn item(items: &Index, name: &str) -> Result<Option<u32>, Failure> {
    match items.find(name) {
        Ok(position) => Ok(Some(position)),
        Err(QueryError::UnknownId { .. }) => Ok(None),
        Err(several) => Err(several.into()),
    }
}

/// `name:weight` in two.
fn weighted(text: &str) -> Option<(&str, f32)> {
    let (name, weight) = text.rsplit_once(':')?;
    Some((name.trim(), weight.trim().parse().ok()?))
}

/// The name that is meant, without quotes about it, and its weight; 1 without one.
fn named(text: &str) -> (String, f32) {
    let (name, weight) = weighted(text).unwrap_or((text, 1.0));
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    (inner.map_or_else(|| name.to_string(), |inner| inner.replace("\"\"", "\"")), weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_at_commas_outside_of_quotes() {
        let parts = |text: &str| -> Vec<String> {
            let mut start = 0;
            let mut cut = |end: usize| {
                let part = text[start..end].to_string();
                start = end + 1;
                part
            };
            ends(text).into_iter().map(&mut cut).collect()
        };
        assert_eq!(parts("a:1,b"), ["a:1", "b"]);
        assert_eq!(parts("\"a, b\":2, \"c\"\"d, e\""), ["\"a, b\":2", " \"c\"\"d, e\""]);
        assert_eq!(parts("7\" heroes,b"), ["7\" heroes", "b"]);
        assert_eq!(parts("\"open, b"), ["\"open", " b"]);
        assert_eq!(parts("é,ü"), ["é", "ü"]);
    }

    #[test]
    fn names_lose_their_quotes_and_keep_their_colons() {
        assert_eq!(named("\"a, b\":2.5"), ("a, b".into(), 2.5));
        assert_eq!(named("\"a \"\"b\"\"\""), ("a \"b\"".into(), 1.0));
        assert_eq!(named("a:b:3"), ("a:b".into(), 3.0));
        assert_eq!(named("a:b"), ("a:b".into(), 1.0));
    }
}
