//! A table that another program made under the name of ours.

use lemon_session_tests::{Launch, Storage};
use mysql_async::prelude::Queryable as _;

/// Runs a statement on a store's database, as another program.
fn run(storage: &Storage, statement: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        if let Some(file) = storage.url.strip_prefix("sqlite:") {
            rusqlite::Connection::open(file).expect("the database").execute_batch(statement).expect("a statement");
        } else if storage.url.starts_with("mysql:") {
            let mut connection = mysql_async::Conn::from_url(&storage.url).await.expect("a connection");
            connection.query_drop(statement).await.expect("a statement");
            connection.disconnect().await.expect("disconnect");
        } else {
            let connected = tokio_postgres::connect(&storage.url, tokio_postgres::NoTls).await;
            let (client, connection) = connected.expect("a connection");
            let connection = tokio::spawn(connection);
            client.batch_execute(statement).await.expect("a statement");
            drop(client);
            connection.await.expect("no panic").expect("the connection ends");
        }
    });
}

#[test]
fn a_table_of_another_program_is_named_by_every_command_and_left_as_it_is() {
    for kind in ["sqlite", "mysql", "postgres"] {
        let Some(storage) = Storage::new(kind) else { continue };
        let quote = if kind == "mysql" { '`' } else { '"' };
        let table = format!("{quote}{}{quote}", storage.table);
        run(&storage, &format!("CREATE TABLE {table} (sid int)"));
        let launch = Launch::new("visits");
        let application = lemon_session_tests::build::component("visits").display().to_string();
        let says = format!("a table {} that another program made: it has no column id.", storage.table);
        for command in [
            &["tables", "create"][..],
            &["tables", "check"],
            &["tables", "drop", "--yes"],
            &["serve", &application, "--addr", "127.0.0.1:0"],
            &["doctor"],
        ] {
            let output = launch.command(&[command, &storage.flags()].concat());
            assert_eq!(output.status, 1, "{command:?}: {output:?}");
            let all = format!("{}{}", output.stdout, output.stderr);
            assert!(all.contains(&says) && all.contains("--table"), "{command:?}: {all}");
        }
        // The table is there and has this one column.
        run(&storage, &format!("INSERT INTO {table} VALUES (1)"));

        // What the message advises helps.
        let other = format!("{}_own", storage.table);
        let other = ["--storage", &storage.url, "--table", &other];
        for command in [&["tables", "create"][..], &["tables", "check"], &["doctor"], &["tables", "drop", "--yes"]] {
            launch.command(&[command, &other].concat()).ok();
        }
        run(&storage, &format!("DROP TABLE {table}"));
    }
}
