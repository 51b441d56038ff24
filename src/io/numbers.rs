//! Vectors as text: a line of numbers a row.

use std::path::Path;

use crate::error::ReadError;

use super::matrix::Matrix;
use super::source::{Source, shown, utf8};

/// Reads lines of numbers separated by a tab, comma, semicolon or space, as float32.
///
/// The separator is that of the first line; a first line without any number is a header, and so is
/// one that counts the columns (`0,1,2`) above a line with fractions, as pandas writes it. Empty
/// lines are skipped. `-` is standard input.
///
/// # Errors
/// If the file cannot be read, a field is no number, a line has more or fewer fields than those
/// before (the line is named), or the first line counts the columns and may be a vector.
pub fn read(path: impl AsRef<Path>) -> Result<Matrix, ReadError> {
    let mut lines = Source::open(path.as_ref())?.text()?.into_lines();
    let mut matrix = Matrix::default();
    let mut separator = None;
    let mut counts = false;
    while lines.advance()? {
        let line = &lines.line().text;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let first = separator.is_none();
        let separator = *separator.get_or_insert_with(|| guess(line));
        let pushed = utf8(line, "line").and_then(|line| {
            let fields = Fields { line, separator };
            if first && fields.is_header() {
                return Ok(());
            }
            if matrix.rows == 1 && counts {
                fields.drop_header(&mut matrix)?;
            }
            counts = first && fields.count_columns();
            fields.push(&mut matrix)
        });
        pushed.map_err(|problem| lines.error(problem))?;
    }
    Ok(matrix)
}

fn guess(line: &[u8]) -> char {
    ['\t', ',', ';'].into_iter().find(|&s| line.contains(&(s as u8))).unwrap_or(' ')
}

struct Fields<'a> {
    line: &'a str,
    separator: char,
}

impl<'a> Fields<'a> {
    /// A run of spaces is one separator; two commas have an empty field between them.
    fn each(&self) -> impl Iterator<Item = &'a str> {
        let spaces = self.separator == ' ';
        let fields = self.line.trim().split(self.separator).map(str::trim);
        fields.filter(move |field| !(spaces && field.is_empty()))
    }

    fn is_header(&self) -> bool {
        self.each().all(|field| field.parse::<f32>().is_err())
    }

    /// Whether they are 0, 1, 2 and so on.
    fn count_columns(&self) -> bool {
        self.each().count() > 1
            && self.each().enumerate().all(|(at, field)| field == at.to_string())
    }

    /// Takes the first row, which counts the columns, for a header if this line has fractions.
    fn drop_header(&self, matrix: &mut Matrix) -> Result<(), String> {
        if self.each().any(|field| field.contains(['.', 'e', 'E'])) {
            *matrix = Matrix::default();
            return Ok(());
        }
        // Two numbers are too few to tell: vectors of the plane begin so.
        if matrix.cols < 3 {
            return Ok(());
        }
        Err(format!(
            "the line before counts the columns (0 to {}), which may be a header or a vector: remove \
             it, or write its numbers as 0.0, 1.0 and so on",
            matrix.cols - 1
        ))
    }

    fn push(&self, matrix: &mut Matrix) -> Result<(), String> {
        let before = matrix.data.len();
        for field in self.each() {
            let value =
                field.parse().map_err(|_| format!("got {}, expected a number", shown(field)))?;
            matrix.data.push(value);
        }
        let got = matrix.data.len() - before;
        if matrix.rows > 0 && got != matrix.cols {
            return Err(format!("got {got} numbers, the lines before have {}", matrix.cols));
        }
        (matrix.rows, matrix.cols) = (matrix.rows + 1, got);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Matrix, ReadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v.csv");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn every_separator_is_read_with_and_without_header() {
        let want = Matrix { data: vec![1.0, -2.5, 0.03, 4.0], rows: 2, cols: 2 };
        for text in [
            "1,-2.5\n3e-2,4\n",
            "a\tb\n1\t-2.5\r\n\n0.03\t4",
            " 1   -2.5\n0.03 4 \n",
            "1; -2.5\n.03;4\n",
        ] {
            assert_eq!(read_text(text).unwrap(), want, "{text:?}");
        }
        assert_eq!(read_text("").unwrap(), Matrix::default());
    }

    #[test]
    fn a_header_of_numbers_is_no_vector() {
        let want = Matrix { data: vec![0.5, 1.0, 2.0, 3.5], rows: 2, cols: 2 };
        assert_eq!(read_text("0,1\n0.5,1\n2,3.5\n").unwrap(), want);
        let error = read_text("0,1,2\n5,1,2\n2,3,4\n").unwrap_err().to_string();
        assert!(error.contains("line 2: the line before counts the columns (0 to 2)"), "{error}");
        assert_eq!(read_text("0.0,1.0,2.0\n5,1,2\n").unwrap().rows, 2);
        assert_eq!(read_text("0,1\n1,0\n").unwrap().rows, 2);
        assert_eq!(read_text("0.5,1\r2,3.5\r").unwrap(), want, "CR alone ends a line");
    }

    #[test]
    fn faults_name_the_line() {
        let fault = |text: &str| read_text(text).unwrap_err().to_string();
        assert!(fault("1,2\n\n3\n").contains("line 3: got 1 numbers, the lines before have 2"));
        assert!(fault("1,2\n3,x\n").contains("line 2: got \"x\", expected a number"));
        assert!(fault("1,x\n3,4\n").contains("line 1: got \"x\""));
        assert!(fault("1,2\n,4\n").contains("line 2: got \"\""));
    }
}
