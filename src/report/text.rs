//! Text that is safe where it stands, and numbers as people write them.

use std::fmt::Write;

use serde_json::Value;

/// The most characters of a name on a page.
pub(super) const NAME: usize = 60;

/// Text as it may stand in HTML or SVG, between tags and in quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Neither HTML nor XML has a way to write these.
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// JSON as it may stand in a script element: no `<`, so that nothing in it ends the element or
/// begins a comment there. They occur in strings only, where `\u003c` is the same.
pub(super) fn script_json(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// A name's first characters, without what would steer a terminal or break a line.
pub(super) fn short(name: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = name.chars().take(NAME).map(shown).collect();
    if name.chars().nth(NAME).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// A template with `{{name}}` replaced by what `value` gives for it, in one pass: what is put in is
/// not looked at again.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or("").to_string();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        out.push_str(&value(name));
        out.push_str(rest);
    }
    out
}

/// A table: the first column is text, the others stand to the right.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table><thead><tr>");
    for head in heads {
        // Writing to a string cannot fail.
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(head));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let tag = if at == 0 { "th scope=\"row\"" } else { "td" };
            let _ = write!(out, "<{tag}>{}</{}>", escape(cell), &tag[..2]);
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// 1234567 as 1,234,567.
#[must_use]
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// In bytes, kB, MB or GB of powers of ten.
#[must_use]
pub fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{} bytes", thousands(n)),
        10_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A number in few characters: 0.25, 12.5, 1,250, 40k, 2M, 3e-5.
pub(super) fn compact(x: f64) -> String {
    let size = x.abs();
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    let scaled = |unit: f64, name: &str| format!("{}{name}", trimmed(format!("{:.2}", x / unit)));
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e12).contains(&size) => format!("{x:e}"),
        _ if size >= 1e9 => scaled(1e9, "G"),
        _ if size >= 1e6 => scaled(1e6, "M"),
        _ if size >= 1e4 => scaled(1e3, "k"),
        _ if size >= 1e3 && x.fract() == 0.0 && x > 0.0 => thousands(x as u64),
        _ => trimmed(format!("{x:.4}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let nasty = "</script><b a=\"x\" b='y'>&amp;\u{0}\u{1b}🎵";
        let safe =
            "&lt;/script&gt;&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;\u{fffd}\u{fffd}🎵";
        assert_eq!(escape(nasty), safe);
        let json = script_json(&Value::from(nasty));
        assert!(!json.contains(['<', '>', '&']), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), nasty);
    }

    #[test]
    fn names_are_cut() {
        assert_eq!(short("a\tb\n"), "a b ");
        assert_eq!(short(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(short(&"é".repeat(61)), format!("{}…", "é".repeat(59)));
    }

    #[test]
    fn what_is_put_in_is_not_a_template() {
        let value = |name: &str| if name == "a" { "{{b}}".to_string() } else { "no".to_string() };
        assert_eq!(fill("<{{a}}>{{b}}", value), "<{{b}}>no");
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.25, -12.5, 1250.0, 40_000.0, 2e6, 2.5e9, 3e-5];
        let texts = ["0", "0.25", "-12.5", "1,250", "40k", "2M", "2.5G", "3e-5"];
        assert_eq!(numbers.map(compact), texts);
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([9_999, 10_000, 18_250_000].map(bytes), ["9,999 bytes", "10.0 kB", "18.2 MB"]);
    }
}
