//! Interactions from a delimited table: one row a line, its columns named or numbered.

use std::path::Path;

use crate::error::ReadError;

use super::ReadOptions;
use super::delimited::{Dialect, Records};
use super::header::looks_like_header;
use super::interactions::Rows;
use super::source::{Text, format_error, shown, utf8};
use super::times;

/// How many of the first rows are looked at for a header.
const LOOK: usize = 100;
/// Words that databases, R and pandas write for a missing value.
const NULLS: [&str; 9] = ["\\N", "NULL", "null", "NaN", "nan", "None", "NA", "<NA>", "N/A"];

/// Adds the rows of a table; `partitions` are columns with one value for all of them.
pub(super) fn read_into(
    text: Text,
    options: &ReadOptions,
    partitions: &[(String, String)],
    rows: &mut Rows,
) -> Result<(), ReadError> {
    let path = text.path().to_path_buf();
    let mut head = text.head().to_vec();
    if text.is_all_head() {
        head.push(b'\n');
    }
    let dialect = Dialect::guess(&head, options.delimiter, options.quote);
    let mut records = Records::open(text, dialect)?;
    if !records.advance()? {
        return match rows.is_only_file() {
            true => Err(format_error(&path, "the file is empty: expected a header or rows")),
            false => Ok(()),
        };
    }
    if let Some(problem) = records.fault() {
        return Err(records.error(problem));
    }
    let sample = dialect.sample(&head, LOOK);
    let columns = Columns::find(&records, &sample, options, partitions, &path)?;
    let header = columns.header.then(|| records.texts());
    let keep_nulls = options.keep_null_ids;
    let mut table = Table { columns, header, keep_nulls, rows };
    if table.header.is_none() {
        table.take(&records)?;
    }
    while records.advance()? {
        table.take(&records)?;
    }
    Ok(())
}

/// Where a column is.
enum Place {
    Field(usize),
    /// In the name of a folder.
    Constant(String),
}

/// Where the columns are.
struct Columns {
    user: Place,
    item: Place,
    weight: Option<Place>,
    time: Option<Place>,
    /// Whether the first line names the columns.
    header: bool,
}

impl Columns {
    /// Looks for the columns in the first line.
    fn find(
        records: &Records,
        sample: &[Vec<String>],
        options: &ReadOptions,
        partitions: &[(String, String)],
        path: &Path,
    ) -> Result<Columns, ReadError> {
        let first = records.texts();
        check_comment(records, sample)?;
        let (user, item) = options.user_and_item(path, &first)?;
        let (weight, time) = (options.weight.as_deref(), options.time.as_deref());
        let asked = [Some(user), Some(item), weight, time];
        let partition = |name: &str| partitions.iter().find(|(column, _)| column == name);
        let numbered = asked
            .iter()
            .flatten()
            .all(|name| name.parse::<usize>().is_ok() || partition(name).is_some());
        let header = options.header.unwrap_or(!numbered);
        let locate = |name: &str| {
            let by_name = || first.iter().position(|f| f == name).filter(|_| header);
            let by_number = || name.parse().ok().filter(|&at: &usize| at < first.len());
            let field = by_name().or_else(by_number).map(Place::Field);
            let constant = || partition(name).map(|(_, value)| Place::Constant(value.clone()));
            field
                .or_else(constant)
                .ok_or_else(|| no_column(records, path, name, if header { &first } else { &[] }))
        };
        let (weight, time) = (weight.map(locate).transpose()?, time.map(locate).transpose()?);
        let columns = Columns { user: locate(user)?, item: locate(item)?, weight, time, header };
        if options.header.is_none() && !header {
            columns.check_first(records, &first, sample)?;
        }
        Ok(columns)
    }

    /// That the first line of a table whose columns are given by number is a row.
    fn check_first(
        &self,
        records: &Records,
        first: &[String],
        sample: &[Vec<String>],
    ) -> Result<(), ReadError> {
        let at = |place: &Place| match place {
            Place::Field(at) => *at,
            Place::Constant(_) => usize::MAX,
        };
        let ask = "pass --header (header=True) if it names the columns, --no-header (header=False) if \
                   it is a row";
        if let Some(Place::Field(at)) = self.weight
            && number(records.field(at)).is_err()
        {
            let problem = format!("got {} as a weight; {ask}", shown(&first[at]));
            return Err(records.error(problem));
        }
        let below = sample.get(1..).unwrap_or_default();
        match looks_like_header(first, below, [at(&self.user), at(&self.item)]) {
            Some(why) => {
                let first: Vec<String> = first.iter().take(8).map(|text| shown(text)).collect();
                let first = first.join(", ");
                let problem =
                    format!("the line has {first}, and looks like a header: {why}; {ask}");
                Err(records.error(problem))
            }
            None => Ok(()),
        }
    }
}

/// That the first line is no comment, which has another number of fields than the next.
fn check_comment(records: &Records, sample: &[Vec<String>]) -> Result<(), ReadError> {
    let (Some(first), Some(next)) = (sample.first(), sample.get(1)) else { return Ok(()) };
    let marked = first.first().is_some_and(|text| text.starts_with(['#', '%']));
    match marked && first.len() != next.len() {
        true => Err(records.error(format!(
            "the first line seems to be a comment ({}): remove the lines before the table",
            shown(&first[0])
        ))),
        false => Ok(()),
    }
}

fn no_column(records: &Records, path: &Path, name: &str, names: &[String]) -> ReadError {
    if records.len() == 1 {
        let line = String::from_utf8_lossy(records.field(0)).into_owned();
        return format_error(
            path,
            format!(
                "there is no column {}: its first line is one field with the delimiter {}: {}; name \
                 the delimiter (--delimiter tab, delimiter=\"tab\")",
                shown(name),
                records.delimiter(),
                shown(&line)
            ),
        );
    }
    let numbers = || (0..records.len()).map(|at| at.to_string()).collect();
    let available = if names.is_empty() { numbers() } else { names.to_vec() };
    ReadError::Column { path: path.to_path_buf(), column: name.to_string(), available }
}

struct Table<'a> {
    columns: Columns,
    /// What the first line says, if it is a header.
    header: Option<Vec<String>>,
    keep_nulls: bool,
    rows: &'a mut Rows,
}

impl Table<'_> {
    /// Adds a row, or notes what is wrong with it.
    fn take(&mut self, records: &Records) -> Result<(), ReadError> {
        match self.push(records) {
            Ok(()) => Ok(()),
            Err(problem) => self.rows.bad.note(|| records.error(problem)),
        }
    }

    fn push(&mut self, records: &Records) -> Result<(), String> {
        if let Some(problem) = records.fault() {
            return Err(problem.to_string());
        }
        if records.len() != records.width() {
            return Err(records.width_problem());
        }
        let columns = &self.columns;
        let user = self.id(field(records, &columns.user), "user id")?;
        let item = self.id(field(records, &columns.item), "item id")?;
        if self.repeats_header(records, user, item) {
            return Err("the line repeats the header: drop it".to_string());
        }
        let weight = columns.weight.as_ref().map_or(Ok(1.0), |at| number(field(records, at)))?;
        let time = columns.time.as_ref().map(|at| times::parse(field(records, at))).transpose()?;
        self.rows.push(user, item, weight, time)
    }

    fn id<'r>(&self, field: &'r [u8], what: &str) -> Result<&'r str, String> {
        if field.is_empty() {
            return Err(format!("the {what} is empty: fill it in or drop the line"));
        }
        let text = utf8(field, what)?;
        check_null(text, what, self.keep_nulls)?;
        Ok(text)
    }

    /// Whether the line is the first line again, as where files were put one after the other.
    fn repeats_header(&self, records: &Records, user: &str, item: &str) -> bool {
        let Some(header) = &self.header else { return false };
        let names = |name: &str| header.iter().any(|text| text == name);
        names(user) && names(item) && *header == records.texts()
    }
}

fn field<'a>(records: &'a Records, place: &'a Place) -> &'a [u8] {
    match place {
        Place::Field(at) => records.field(*at),
        Place::Constant(value) => value.as_bytes(),
    }
}

/// That an id is none of the words for a missing one.
pub(super) fn check_null(id: &str, what: &str, keep: bool) -> Result<(), String> {
    match !keep && id.len() <= 4 && NULLS.contains(&id) {
        true => Err(format!(
            "the {what} is {id}, which stands for a missing value: drop the line, or pass \
             --keep-null-ids (keep_null_ids=True) if it is an id"
        )),
        false => Ok(()),
    }
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
        Err(_) if is_decimal_comma(text) => Err(format!(
            "the weight is {}, expected a number such as 3 or 0.5: write decimals with a point",
            shown(text)
        )),
        Err(_) => Err(format!("the weight is {}, expected a number such as 3 or 0.5", shown(text))),
    }
}

fn is_decimal_comma(text: &str) -> bool {
    text.matches(',').count() == 1 && text.replace(',', ".").parse::<f32>().is_ok()
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
    use super::super::{Format, read_interactions};
    use super::*;
    use crate::index::Ids;
    use crate::recommend::Interactions;

    fn read_bytes(text: &[u8], options: &ReadOptions) -> Result<Interactions, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        std::fs::write(&path, text).unwrap();
        read_interactions(&path, &ReadOptions { format: Some(Format::Table), ..options.clone() })
    }

    fn read(text: &str, options: &ReadOptions) -> Result<Interactions, ReadError> {
        read_bytes(text.as_bytes(), options)
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
        assert!(
            fault("user,item\n1,2\n", &two).contains("line 1: the line has \"user\", \"item\"")
        );
        assert!(fault("user,item,n\nx,y,2\n", &three).contains("line 1: got \"n\" as a weight"));
        let strings = "user_id,product\na1f,10\nb2e,11\n";
        let asked = fault(strings, &two);
        assert!(asked.contains("pass --header (header=True)"), "{asked}");
        assert!(fault("0,1\n7,8\n", &two).contains("it counts the columns"));
        let header = |header| ReadOptions { header: Some(header), ..two.clone() };
        assert_eq!(read("user,item\n1,2\n", &header(false)).unwrap().users.len(), 2);
        assert_eq!(read(strings, &header(true)).unwrap().items, Ids::Int(vec![10, 11]));
        assert_eq!(read("0,1\n7,8\n", &header(true)).unwrap().users, Ids::Int(vec![7]));
        let twice = "user,item\n1,2\nuser,item\n3,4\n";
        for options in [header(true), columns("user", "item", None)] {
            let repeated = fault(twice, &options);
            assert!(repeated.contains("line 3: the line repeats the header"), "{repeated}");
        }
    }

    #[test]
    fn ids_are_trimmed_as_headers_and_weights_are() {
        let text = "user, item, n\n1, 10, 5\n2, \"10\", 3\n 1 ,\" 11 \", 4\n";
        let data = read(text, &columns("user", "item", Some("n"))).unwrap();
        assert_eq!((data.users, data.items), (Ids::Int(vec![1, 2]), Ids::Int(vec![10, 11])));
    }

    #[test]
    fn words_for_a_missing_value_are_no_ids() {
        let options = columns("u", "i", None);
        for word in NULLS {
            let text = format!("u,i\na,x\n{word},y\n");
            let told = fault(&text, &options);
            assert!(
                told.contains(&format!("line 3: the user id is {word}, which stands")),
                "{told}"
            );
            let kept = ReadOptions { keep_null_ids: true, ..options.clone() };
            assert_eq!(read(&text, &kept).unwrap().users.len(), 2);
        }
        assert_eq!(read("u,i\nNULLA,x\n", &options).unwrap().users.len(), 1);
    }

    #[test]
    fn lines_may_end_in_cr_alone() {
        let text = "user,item,n\rann,x,1\rann,y,2\rbob,x,3\r";
        let data = read(text, &columns("user", "item", Some("n"))).unwrap();
        assert_eq!((data.users.len(), data.matrix.nnz()), (2, 3));
        assert_eq!(
            read("ann,x\rann,y\rbob,x\r", &columns("0", "1", None)).unwrap().matrix.nnz(),
            3
        );
    }

    #[test]
    fn blanks_delimit_where_nothing_else_does() {
        let text = " 1 100 3.5 \n 2 101  4 \n 2  102 1 \n";
        let data = read(text, &columns("0", "1", Some("2"))).unwrap();
        assert_eq!((data.users.len(), data.matrix.values()), (2, &[3.5, 4.0, 1.0][..]));
        let told = fault("a.b.c\nd.e.f\n", &columns("0", "2", None));
        assert!(
            told.contains("one field with the delimiter ,") && told.contains("--delimiter"),
            "{told}"
        );
    }

    #[test]
    fn files_that_quote_nothing_lose_no_rows() {
        let text = "u1\tradiohead\t100\nu1\t\"weird al\" yankovic\t50\nu2\t\"ghost town\t40\n\
                    u3\tair\t7\nu4\t7\" heroes\t9\nu5\t\"Heroes\"\t3\nu5\tHeroes\t2\n";
        let data = read(text, &columns("0", "1", Some("2"))).unwrap();
        assert_eq!((data.users.len(), data.items.len(), data.matrix.nnz()), (5, 7, 7));
        // A record that would swallow rows is a bad row also where the swallowed field is not used.
        let text = "u,note,n\n1,\"ghost,5\n2,x,3\n3,12\",4\n4,y,6\n";
        let told = fault(text, &columns("u", "n", None));
        assert!(told.contains("line 2: the \" that opens here closes 2 lines later"), "{told}");
        let skip = ReadOptions { skip_bad_rows: true, ..columns("u", "n", None) };
        assert_eq!(read(text, &skip).unwrap().users, Ids::Int(vec![2, 3, 4]));
    }

    #[test]
    fn sheets_comments_and_footers() {
        let named = columns("u", "i", Some("w"));
        let semicolons = read("sep=;\nu;i;w\n1;2;3\n", &named).unwrap();
        assert_eq!(semicolons.matrix.values(), [3.0]);
        let decimal = fault("u;i;w\n1;2;3,5\n", &named);
        assert!(decimal.contains("write decimals with a point"), "{decimal}");
        let comment = fault("# exported today\nu,i,w\n1,2,3\n", &named);
        assert!(comment.contains("line 1: the first line seems to be a comment"), "{comment}");
        let footer = fault("u,i,w\n1,2,3\n(1 row)\n", &named);
        assert!(footer.contains("line 3: got 1 fields"), "{footer}");
    }

    #[test]
    fn encodings_are_named() {
        let text = b"u;i\nann;Les \xe9t\xe9s\n";
        let told = read_bytes(text, &columns("u", "i", None)).unwrap_err().to_string();
        assert!(told.contains("--encoding latin-1 (encoding=\"latin-1\")"), "{told}");
        let encoding = Some("latin-1".parse().unwrap());
        let data = read_bytes(text, &ReadOptions { encoding, ..columns("u", "i", None) }).unwrap();
        assert_eq!(data.items, Ids::Text(vec!["Les étés".into()]));
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
            ("1,\"2,3\n", "line 3: a field begins with \" and its quote is not closed"),
        ] {
            let got = fault(&format!("u,i,w\n1,1,1\n{rows}5,5,5\n"), &options);
            assert!(got.contains(says), "{rows:?}: {got}");
        }
        let missing = fault("u,item,w\n1,1,1\n", &options);
        assert!(missing.ends_with("has no column \"i\"; it has u, item, w"), "{missing}");
        assert!(fault("", &options).contains("the file is empty"));
        let unnamed = fault("u,i\n1,2\n", &ReadOptions::default());
        assert!(unnamed.ends_with("by number from 0; it has \"u\", \"i\""), "{unnamed}");
        let far = fault("1,2\n3,4\n", &columns("0", "2", None));
        assert!(far.ends_with("no column \"2\"; it has 0, 1"), "{far}");
    }

    #[test]
    fn ids_must_be_utf8_and_other_columns_need_not() {
        let text = b"u,i,note\na,b,\xe9\na,\xe9,c\n";
        let error = read_bytes(text, &columns("u", "i", None)).unwrap_err();
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
