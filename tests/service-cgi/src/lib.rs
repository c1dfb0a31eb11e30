//! A CGI program of WASI 0.3: what it does is told by the first segment of PATH_INFO.
//!
//! | path | what it does |
//! | --- | --- |
//! | `/count` | adds one to `count` of its session |
//! | `/echo` | prints its standard input |
//! | `/endless` | prints for ever |
//! | `/exit` | ends with an error after its header block |
//! | `/trap` | panics |
//! | `/silent` | prints nothing for an hour |
//! | else | "well" |

use futures::join;
use wasip3::{cli, clocks::monotonic_clock::wait_for, wit_stream};

wit_bindgen::generate!({
    path: "../../wit",
    world: "application-async",
    generate_all,
});

use lemon::session::{
    sessions::Options,
    sessions_async,
    types::{Error, Location},
};

struct Program;

wasip3::cli::command::export!(Program);

impl wasip3::exports::cli::run::Guest for Program {
    async fn run() -> Result<(), ()> {
        match variable("PATH_INFO").unwrap_or_default().as_str() {
            "/count" => match count().await {
                Ok((headers, body)) => {
                    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                    print(format!("Content-Type: text/plain\r\n{headers}\r\n{body}")).await;
                }
                Err(error) => print(format!("Status: 500\r\nContent-Type: text/plain\r\n\r\n{error:?}\n")).await,
            },
            "/echo" => {
                let (input, _end) = cli::stdin::read_via_stream();
                let input = String::from_utf8_lossy(&input.collect().await).into_owned();
                print(format!("Content-Type: text/plain\r\n\r\n{input}")).await;
            }
            "/endless" => {
                let (mut writer, reader) = wit_stream::new();
                let write = async {
                    let _ = writer.write_all(b"Content-Type: text/plain\r\n\r\n".to_vec()).await;
                    while writer.write_all(vec![b'x'; 1 << 16]).await.is_empty() {}
                    drop(writer);
                };
                let _ = join!(write, cli::stdout::write_via_stream(reader).into_future());
            }
            "/exit" => {
                print("Content-Type: text/plain\r\n\r\nwell\n".to_owned()).await;
                return Err(());
            }
            "/trap" => panic!("stopped on purpose"),
            "/silent" => wait_for(3_600_000_000_000).await,
            _ => print("Content-Type: text/plain\r\n\r\nwell\n".to_owned()).await,
        }
        Ok(())
    }
}

async fn count() -> Result<(Vec<(String, String)>, String), Error> {
    let session = sessions_async::start(Options {
        app: Some("service".to_owned()),
        cookies: variable("HTTP_COOKIE").into_iter().map(String::into_bytes).collect(),
        https: false,
        session_id: None,
        location: Location { storage: None, table: None },
        expires: None,
        cookie: None,
        seed: None,
        cleanup: None,
        strict: None,
        cache_limiter: None,
    })
    .await?;
    let count = session.add("count".to_owned(), 1).await?;
    Ok((session.save().await?, format!("{count}\n")))
}

fn variable(name: &str) -> Option<String> {
    cli::environment::get_environment().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

async fn print(text: String) {
    let (mut writer, reader) = wit_stream::new();
    let write = async {
        let _ = writer.write_all(text.into_bytes()).await;
        drop(writer);
    };
    let _ = join!(write, cli::stdout::write_via_stream(reader).into_future());
}
