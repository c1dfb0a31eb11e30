//! Tables of other programs.

use super::{open, own_table};

/// A table that another program made under one of our names is refused by name, and left as it is. `run` executes a statement;
/// `quote` is put around names.
pub async fn tables_of_other_programs_are_left_as_they_are(url: &str, quote: char, run: impl AsyncFn(String)) {
    let tables = [("", "sess", "id"), ("_variable", "id", "session"), ("_meta", "version", "layout")];
    let of_mysql = (quote == '`').then_some(("_login", "user", "slot"));
    for (end, column, lacks) in tables.into_iter().chain(of_mysql) {
        let table = own_table();
        let driver = open(url, &table).await;
        let schema = driver.try_schema().expect("schema");
        let theirs = format!("{quote}{table}{end}{quote}");
        let refused = async || {
            for error in [
                schema.tables_exist().await.err(),
                schema.create_tables().await.err(),
                schema.drop_tables().await.err(),
                schema.differences().await.err(),
            ] {
                let error = error.expect("the table is not ours");
                let says = format!("a table {table}{end} that another program made: it has no column {lacks}.");
                assert!(error.is_invalid() && error.to_string().contains(&says), "{error}");
            }
            // It is there, with this one column.
            run(format!("INSERT INTO {theirs} VALUES (1)")).await;
        };

        run(format!("CREATE TABLE {theirs} ({column} int)")).await;
        refused().await;
        run(format!("DROP TABLE {theirs}")).await;
        schema.create_tables().await.expect("create_tables");
        assert_eq!(schema.differences().await.expect("differences"), [""; 0]);

        // Ours was replaced.
        run(format!("DROP TABLE {theirs}")).await;
        run(format!("CREATE TABLE {theirs} ({column} int)")).await;
        refused().await;
        run(format!("DROP TABLE {theirs}")).await;
        schema.drop_tables().await.expect("drop_tables");
        driver.close().await.expect("close");
    }
}
