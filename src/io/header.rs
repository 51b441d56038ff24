//! Whether the first line of a table whose columns are given by number is a header.

use crate::index::canonical_int;

/// Usual names of columns of users and items, in lower case and without `_`, `-` and blanks.
const NAMES: [&str; 33] = [
    "user",
    "userid",
    "username",
    "uid",
    "visitor",
    "visitorid",
    "customer",
    "customerid",
    "client",
    "clientid",
    "member",
    "memberid",
    "session",
    "sessionid",
    "account",
    "accountid",
    "item",
    "itemid",
    "iid",
    "product",
    "productid",
    "movie",
    "movieid",
    "artist",
    "artistid",
    "track",
    "trackid",
    "song",
    "songid",
    "book",
    "bookid",
    "isbn",
    "asin",
];

/// Why the first row is likely a header, by the rows after it; none if it is a row like the others.
pub(super) fn looks_like_header(
    first: &[String],
    rows: &[Vec<String>],
    ids: [usize; 2],
) -> Option<&'static str> {
    let column = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let field = |at: usize| first.get(at).map_or("", String::as_str);
    let over_integers = |at: usize| {
        let is_integer = |text: &str| canonical_int(text).is_some();
        !field(at).is_empty() && !is_integer(field(at)) && all(column(at), &is_integer)
    };
    if ids.into_iter().any(over_integers) {
        return Some("the ids below are integers");
    }
    let counted = first.iter().enumerate().all(|(at, text)| *text == at.to_string());
    let indexed = first.len() > 2
        && first[0].is_empty()
        && first[1..].iter().enumerate().all(|(at, text)| *text == at.to_string());
    if (counted && first.len() > 1) || indexed {
        return Some("it counts the columns, as pandas writes a header of numbers");
    }
    if ids.into_iter().any(|at| is_name(field(at)) && !column(at).any(|other| other == field(at))) {
        return Some("it names a column of ids");
    }
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    let over_numbers =
        |at: usize| !field(at).is_empty() && !is_number(field(at)) && all(column(at), &is_number);
    let other = (0..first.len()).filter(|at| !ids.contains(at)).any(over_numbers);
    (other && rows.len() > 1).then_some("a column below it holds numbers")
}

fn all<'a>(mut column: impl Iterator<Item = &'a String>, fits: &dyn Fn(&str) -> bool) -> bool {
    let Some(first) = column.next() else { return false };
    fits(first) && column.all(|text| fits(text))
}

fn is_name(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| !"_- ".contains(*c)).collect();
    NAMES.contains(&plain.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likely(text: &str) -> bool {
        let mut rows = text.lines().map(|line| line.split(',').map(String::from).collect());
        let first: Vec<String> = rows.next().unwrap();
        let rows: Vec<Vec<String>> = rows.collect();
        looks_like_header(&first, &rows, [0, 1]).is_some()
    }

    #[test]
    fn headers_are_known_by_their_words_or_by_what_is_below() {
        for text in [
            "user,item\n1,2\n",
            "user_id,product\na1f,10\nb2e,11\n",
            "User-ID,ISBN\nann,x\nbob,y\n",
            "who,what,n\nann,x,1\nbob,y,2\n",
            "0,1\n5,7\n6,8\n",
            ",0,1\n0,5,7\n1,6,8\n",
            "0,1,2\nann,x,5\n",
        ] {
            assert!(likely(text), "{text}");
        }
    }

    #[test]
    fn rows_are_rows() {
        for text in [
            "1,2\n3,4\n",
            "ann,x\nbob,y\n",
            "ann,10\nbob,x\n",
            "0,5\n0,7\n",
            "user,x\nuser,y\nann,z\n",
            "ann,x,1\nbob,y,2\n",
            "ann,x\n",
        ] {
            assert!(!likely(text), "{text}");
        }
    }
}
