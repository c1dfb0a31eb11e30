//! A CGI program that misbehaves, a route for each way, and tells what it was given.

use std::{
    env,
    hint::black_box,
    io::{Read as _, Write as _, stdin, stdout},
    process::exit,
    thread::sleep,
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);

fn main() {
    let path = env::var("PATH_INFO").unwrap_or_default();
    match path.as_str() {
        "/environment" => {
            let mut variables: Vec<_> = env::vars().collect();
            variables.sort();
            page(&variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>());
        }
        "/arguments" => page(&env::args().skip(1).collect::<Vec<_>>().join("\n")),
        "/echo" => {
            let mut body = Vec::new();
            stdin().read_to_end(&mut body).expect("the body can be read");
            page(&format!("{} {}", body.len(), String::from_utf8_lossy(&body)));
        }
        "/deaf" => page("well\n"),
        // Prints the query, which is in hexadecimal, to the byte.
        "/print" => {
            let query = env::var("QUERY_STRING").unwrap_or_default();
            let pairs = query.as_bytes().chunks(2).filter_map(|pair| str::from_utf8(pair).ok());
            print(&pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Vec<_>>());
        }
        "/circle-of-redirects" => print(b"Location: /circle-of-redirects\r\n\r\n"),
        "/trap" => panic!("trapped on purpose"),
        "/silent" => {}
        "/exit" => exit(3),
        "/spin" => loop {
            black_box(());
        },
        "/sleep" => sleep(HOUR),
        "/grow" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(black_box(vec![1; 1 << 20]));
            }
        }
        "/endless-header" => loop {
            print(b"X-Header: value\r\n");
        },
        "/endless-body" => {
            page("");
            while stdout().write_all(&[b'a'; 4096]).is_ok() {}
        }
        "/half-then-trap" => {
            page("half\n");
            panic!("trapped on purpose");
        }
        "/half-then-sleep" => {
            page("half\n");
            sleep(HOUR);
        }
        "/half-then-exit" => {
            page("half\n");
            exit(3);
        }
        _ => page("well\n"),
    }
}

fn page(text: &str) {
    print(format!("Content-Type: text/plain\r\n\r\n{text}").as_bytes());
}

fn print(bytes: &[u8]) {
    let mut stdout = stdout();
    // A visitor who has gone away does not hear the rest.
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        exit(0);
    }
}
