//! Interactions from a delimited table: one row a line, its columns named or numbered.

use crate::error::ReadError;
use crate::index::canonical_int;
use crate::recommend::{Interactions, InteractionsBuilder};

use super::delimited::{Delimiter, Records};
use super::source::{Source, format_error, shown, utf8};
use super::times;
use super::{BadRows, ReadOptions};

pub(super) fn read_from(
    source: Source,
    options: &ReadOptions,
) -> Result<(Interactions, BadRows), ReadError> {
    let delimiter =
        options.delimiter.unwrap_or_else(|| Delimiter::guess(first_line(source.head())));
    let path = source.path().to_path_buf();
    let mut records = Records::open(source, delimiter)?;
    if !records.advance()? {
        return Err(format_error(&path, "the file is empty: expected a header or rows"));
    }
    let columns = Columns::find(&records, options, &path)?;
    let bad = BadRows::new(options.skip_bad_rows);
    let mut table = Table { columns, builder: InteractionsBuilder::new(), bad };
    if !table.columns.header {
        table.push_first(&mut records, options)?;
    }
    while records.advance()? {
        table.take(&records)?;
    }
    let bad = table.bad.finish()?;
    Ok((table.builder.finish()?, bad))
}

fn first_line(head: &[u8]) -> &[u8] {
    let mut lines = head.split(|&b| b == b'\n');
    lines.find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
}

/// Where the columns are.
struct Columns {
    user: usize,
    item: usize,
    weight: Option<usize>,
    time: Option<usize>,
    /// How many fields each line has.
    width: usize,
    /// Whether the first line names the columns.
    header: bool,
}

impl Columns {
    /// Looks for the columns in the first line.
    fn find(
        records: &Records,
        options: &ReadOptions,
        path: &std::path::Path,
    ) -> Result<Columns, ReadError> {
        let first = records.texts();
        let (user, item) = options.user_and_item(path, &first)?;
        let (weight, time) = (options.weight.as_deref(), options.time.as_deref());
        let asked = [Some(user), Some(item), weight, time];
        let numbered = asked.iter().flatten().all(|name| name.parse::<usize>().is_ok());
        let header = options.header.unwrap_or(!numbered);
        let locate = |name: &str| {
            let by_name = || first.iter().position(|f| f == name);
            let by_number = || name.parse().ok().filter(|&at: &usize| at < first.len());
            let found = if header { by_name().or_else(by_number) } else { by_number() };
            found.ok_or_else(|| ReadError::Column {
                path: path.to_path_buf(),
                column: name.to_string(),
                available: if header { first.clone() } else { numbers(first.len()) },
            })
        };
        let (weight, time) = (weight.map(locate).transpose()?, time.map(locate).transpose()?);
        let (user, item) = (locate(user)?, locate(item)?);
        Ok(Columns { user, item, weight, time, width: first.len(), header })
    }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|at| at.to_string()).collect()
}

struct Table {
    columns: Columns,
    builder: InteractionsBuilder,
    bad: BadRows,
}

impl Table {
    /// The first line of a table without header, unless it looks like one: text over integers.
    fn push_first(
        &mut self,
        records: &mut Records,
        options: &ReadOptions,
    ) -> Result<(), ReadError> {
        let first = self.has_integers(records);
        let weight = self.columns.weight.map(|at| number(records.field(at)).is_ok());
        let problem = "a header is not expected when columns are given by number: give them by \
                       name where the first line is one";
        if options.header.is_none() && weight == Some(false) {
            let weight = records.texts().swap_remove(self.columns.weight.unwrap_or(0));
            return Err(records.error(format!("got {weight:?} as a weight; {problem}")));
        }
        let row = records.texts();
        self.take(records)?;
        if !records.advance()? {
            return Ok(());
        }
        if options.header.is_none() && !first && self.has_integers(records) {
            let problem = format!("the line before has {row:?}, this one integers; {problem}");
            return Err(records.error(problem));
        }
        self.take(records)
    }

    /// Adds a row, or notes what is wrong with it.
    fn take(&mut self, records: &Records) -> Result<(), ReadError> {
        match self.push(records) {
            Ok(()) => Ok(()),
            Err(problem) => self.bad.note(|| records.error(problem)),
        }
    }

    fn has_integers(&self, records: &Records) -> bool {
        let integer = |at| {
            let text = std::str::from_utf8(records.field(at)).ok();
            text.is_some_and(|text| canonical_int(text).is_some())
        };
        integer(self.columns.user) && integer(self.columns.item)
    }

    fn push(&mut self, records: &Records) -> Result<(), String> {
        let columns = &self.columns;
        if records.len() != columns.width {
            return Err(format!(
                "got {} fields, the first line has {}: quote fields that hold the delimiter, or \
                 give another delimiter (--delimiter)",
                records.len(),
                columns.width
            ));
        }
        let user = id(records.field(columns.user), "user id")?;
        let item = id(records.field(columns.item), "item id")?;
        let weight = columns.weight.map_or(Ok(1.0), |at| number(records.field(at)))?;
        match columns.time.map(|at| times::parse(records.field(at))).transpose()? {
            Some(time) => self.builder.push_text_at(user, item, weight, time),
            None => self.builder.push_text(user, item, weight),
        }
        .map_err(|e| e.to_string())
    }
}

fn id<'a>(field: &'a [u8], what: &str) -> Result<&'a str, String> {
    if field.is_empty() {
        return Err(format!("the {what} is empty: fill it in or drop the line"));
    }
    // A line end within an id is most likely a quote that was never closed.
    if field.contains(&b'\n') {
        return Err(format!("the {what} spans lines: close the double quote it starts with"));
    }
    utf8(field, what)
}

/// A finite weight.
fn number(field: &[u8]) -> Result<f32, String> {
    let field = field.trim_ascii();
    if let Some(whole) = small_integer(field) {
        return Ok(whole);
    }
    let text = utf8(field, "weight")?;
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err(format!("the weight is {}, which is not finite in float32", shown(text))),
        Err(_) if text.is_empty() => Err("the weight is empty, expected a number".to_string()),
        Err(_) => Err(format!("the weight is {}, expected a number such as 3 or 0.5", shown(text))),
    }
}

/// Play counts, several times faster than through the general parser. Up to nine digits fit u32,
/// and the conversion to float32 rounds to nearest as the parser does.
fn small_integer(field: &[u8]) -> Option<f32> {
    if field.is_empty() || field.len() > 9 {
        return None;
    }
    let digits = field.iter().map(|b| b.is_ascii_digit().then(|| u32::from(b - b'0')));
    let value = digits.into_iter().try_fold(0u32, |value, digit| Some(value * 10 + digit?))?;
    Some(value as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Ids;

    fn read(text: &str, options: &ReadOptions) -> Result<Interactions, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, text).unwrap();
        read_from(Source::open(&path)?, options).map(|read| read.0)
    }

    fn columns(user: &str, item: &str, weight: Option<&str>) -> ReadOptions {
        let weight = weight.map(String::from);
        ReadOptions {
            user: Some(user.into()),
            item: Some(item.into()),
            weight,
            ..Default::default()
        }
    }

    fn fault(text: &str, options: &ReadOptions) -> String {
        read(text, options).unwrap_err().to_string()
    }

    #[test]
    fn named_columns_are_read_in_any_order() {
        let data = read(
            "plays,note,song,who\r\n3,x,s1,7\r\n0.5,\"y,z\",\"s\"\"2\",8\r\n-1e1,,s1,7\r\n",
            &columns("who", "song", Some("plays")),
        );
        let data = data.unwrap();
        assert_eq!(data.users, Ids::Int(vec![7, 8]));
        assert_eq!(data.items, Ids::Text(vec!["s1".into(), "s\"2".into()]));
        assert_eq!(data.matrix.row(0), (&[0u32][..], &[-7.0f32][..]));
        assert_eq!(data.matrix.row(1), (&[1u32][..], &[0.5f32][..]));
    }

    #[test]
    fn times_are_whole_numbers_or_dates() {
        let options = ReadOptions { time: Some("t".into()), ..columns("u", "i", None) };
        let data = read("u,i,t\n1,1,7\n1,2,-3\n1,1,9\n", &options).unwrap();
        assert_eq!(data.times, Some(vec![9, -3]));
        let data = read("u,i,t\n1,1,1970-01-02\n", &options).unwrap();
        assert_eq!(data.times, Some(vec![86_400]));
        let wrong = fault("u,i,t\n1,1,7\n1,1,soon\n", &options);
        assert!(wrong.contains("line 3: the time is \"soon\", expected"), "{wrong}");
        let missing = fault("u,i\n1,1\n", &options);
        assert!(missing.ends_with("has no column \"t\"; it has u, i"), "{missing}");
        assert_eq!(read("1,1,7\n", &columns("0", "1", None)).unwrap().times, None);
    }

    #[test]
    fn numbered_columns_need_no_header() {
        let movies =
            read("1::1193::5::978300760\n2::661::3::978302109", &columns("0", "1", Some("2")));
        let movies = movies.unwrap();
        assert_eq!(movies.items, Ids::Int(vec![1193, 661]));
        assert_eq!(movies.matrix.values(), [5.0, 3.0]);
        let ones = read("a\tx\nb\ty\n", &columns("0", "1", None)).unwrap();
        assert_eq!(ones.matrix.values(), [1.0, 1.0]);
        let mixed = read("u;i;2\n1;2;3\n", &columns("u", "1", Some("2"))).unwrap();
        assert_eq!(mixed.matrix.values(), [3.0]);
        let header = ReadOptions { header: Some(true), ..columns("0", "1", None) };
        assert_eq!(read("u i\n1,2\n3,4\n", &header).unwrap_err().to_string().lines().count(), 1);
        assert_eq!(read("u,i\n1,2\n3,4\n", &header).unwrap().users, Ids::Int(vec![1, 3]));
    }

    #[test]
    fn a_header_that_would_become_a_user_is_noticed() {
        let (two, three) = (columns("0", "1", None), columns("0", "1", Some("2")));
        assert!(fault("user,item\n1,2\n", &two).contains("line 2: the line before has [\"user\""));
        assert!(fault("user,item,n\nx,y,2\n", &three).contains("line 1: got \"n\" as a weight"));
        let none = ReadOptions { header: Some(false), ..two };
        assert_eq!(read("user,item\n1,2\n", &none).unwrap().users.len(), 2);
    }

    #[test]
    fn each_fault_names_its_line() {
        let options = columns("u", "i", Some("w"));
        for (rows, says) in [
            ("1,2,x\n", "line 3: the weight is \"x\", expected a number"),
            ("1,2,\n", "line 3: the weight is empty"),
            ("1,2,nan\n", "line 3: the weight is \"nan\", which is not finite"),
            ("1,2,1e39\n", "not finite"),
            ("1,2\n", "line 3: got 2 fields, the first line has 3"),
            ("1,2,3,4\n", "line 3: got 4 fields"),
            (",2,3\n", "line 3: the user id is empty"),
            ("1,\"\n2\",3\n", "line 3: the item id spans lines"),
        ] {
            let got = fault(&format!("u,i,w\n1,1,1\n{rows}5,5,5\n"), &options);
            assert!(got.contains(says), "{rows:?}: {got}");
        }
        let missing = fault("u,item,w\n1,1,1\n", &options);
        assert!(missing.ends_with("has no column \"i\"; it has u, item, w"), "{missing}");
        assert!(fault("", &options).contains("the file is empty"));
        let unnamed = fault("u,i\n1,2\n", &ReadOptions::default());
        assert!(unnamed.ends_with("by number from 0; it has u, i"), "{unnamed}");
        let far = fault("1,2\n3,4\n", &columns("0", "2", None));
        assert!(far.ends_with("no column \"2\"; it has 0, 1"), "{far}");
    }

    #[test]
    fn ids_must_be_utf8_and_other_columns_need_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, b"u,i,note\na,b,\xe9\na,\xe9,c\n").unwrap();
        let error = read_from(Source::open(&path).unwrap(), &columns("u", "i", None)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("line 3: the item id") && text.contains("0xe9"), "{text}");
    }

    #[test]
    fn small_integers_are_what_the_parser_makes_of_them() {
        for text in ["0", "7", "16777217", "999999999", "033554435", "00012"] {
            assert_eq!(small_integer(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in ["", "-1", "1.5", "1234567890", "1 "] {
            assert_eq!(small_integer(text.as_bytes()), None, "{text}");
        }
        assert_eq!(number(b" 2.5 "), Ok(2.5));
    }
}
