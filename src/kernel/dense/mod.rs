//! Small dense linear algebra for the ALS rows.
