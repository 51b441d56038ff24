//! Times as text: whole numbers, or dates of the proleptic Gregorian calendar.

use chrono::NaiveDate;

use super::source::{shown, utf8};

/// Seconds of a day; there are no leap seconds in the count since 1970.
pub(super) const DAY: i64 = 86_400;

/// What a time of a table means: [`read_interactions`](super::read_interactions) reads its column of
/// times by this.
///
/// # Errors
/// If the text is neither a whole number nor a date.
pub fn parse_time(text: &str) -> Result<i64, String> {
    parse(text.as_bytes()).map(|time| time.value)
}

/// A time of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub value: i64,
    /// Whether it was a date, so that its unit is known.
    pub is_date: bool,
}

/// A whole number as it is, or an ISO 8601 date (`2024-01-31`, `2024-01-31T18:30:00.5+01:00`, a
/// space for the T) as seconds since 1970, rounded down; UTC unless it says otherwise.
pub(super) fn parse(field: &[u8]) -> Result<Time, String> {
    let text = utf8(field.trim_ascii(), "time")?;
    let number = || text.parse().ok().map(|value| Time { value, is_date: false });
    let date = || date_and_time(text).map(|value| Time { value, is_date: true });
    number().or_else(date).ok_or_else(|| {
        format!(
            "the time is {}, expected a whole number or a date such as 2024-01-31 or \
             2024-01-31T18:30:00Z",
            shown(text)
        )
    })
}

fn date_and_time(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = DAY * days(date)?;
    let Some(rest) = rest.strip_prefix(['T', ' ']) else {
        return rest.is_empty().then_some(day);
    };
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone);
    Some(day + seconds(clock)? - offset(zone)?)
}

/// Days since 1970 of `2024-01-31`.
fn days(date: &str) -> Option<i64> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32)?;
    Some(date.signed_duration_since(NaiveDate::default()).num_days())
}

/// Seconds since midnight of `18:30` or `18:30:00.5`.
fn seconds(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let [hour, minute, second] = match whole.len() {
        5 => numbers(whole, ':', [2, 2]).map(|[hour, minute]| [hour, minute, 0]),
        _ => numbers(whole, ':', [2, 2, 2]),
    }?;
    // 60 is a leap second.
    (is_fraction && hour < 24 && minute < 60 && second <= 60)
        .then_some(3600 * hour + 60 * minute + second)
}

/// Seconds ahead of UTC of an empty zone, `Z`, `+01:00` or `-0530`.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes() {
        [] | b"Z" => return Some(0),
        [b'+', ..] => 1,
        _ => -1,
    };
    let digits = zone[1..].replacen(':', "", 1);
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "00" } else { minutes };
    let [hours, minutes] = [number(hours, 2)?, number(minutes, 2)?];
    (hours < 24 && minutes < 60).then_some(sign * (3600 * hours + 60 * minutes))
}

fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for (slot, width) in found.iter_mut().zip(widths) {
        *slot = number(parts.next()?, width)?;
    }
    parts.next().is_none().then_some(found)
}

/// Exactly so many digits.
fn number(text: &str, width: usize) -> Option<i64> {
    let digits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_1970() {
        for (text, want) in [
            ("978300760", 978_300_760),
            (" -5 ", -5),
            ("1970-01-01", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29", 951_782_400),
            ("2024-03-01 00:00", 1_709_251_200),
            ("2024-01-31T18:30:00.999+01:00", 1_706_722_200),
            ("2024-01-31T12:00:00-0530", 1_706_722_200),
            ("0000-01-01", -62_167_219_200),
            ("9999-12-31T23:59:60", 253_402_300_800),
        ] {
            assert_eq!(parse_time(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_shown() {
        for text in [
            "",
            "soon",
            "1.5",
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-1-1",
            "2024-01-31T",
            "2024-01-31T25:00",
            "2024-01-31T12:00:00.",
            "2024-01-31T12:00+1",
            "2024-01-31Z",
            "20\u{e9}4-01-311",
            "99999999999999999999",
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.contains("expected a whole number or a date"), "{error}");
        }
        assert!(parse(&[0xff]).is_err());
    }
}
