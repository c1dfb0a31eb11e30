//! `lemon-session destroy`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::{confirm::confirm, digest::Digest, output, storage};

/// End one session, or all sessions of an owner, at once. Requests in flight fail to save.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lemon-session destroy 3f2a91c0
  lemon-session destroy --owner alice --yes")]
pub struct Args {
    /// The digest of the session's id, or the first 8 digits or more of it.
    #[arg(required_unless_present = "owner", conflicts_with = "owner")]
    digest: Option<Digest>,

    /// All sessions of this owner.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// All but this one.
    #[arg(long, value_name = "DIGEST", requires = "owner")]
    except: Option<Digest>,

    #[command(flatten)]
    storage: storage::Args,

    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let driver = &*store.driver;
    let now = output::now();

    if let Some(owner) = &args.owner {
        let except = match &args.except {
            None => None,
            Some(digest) => match digest.resolve(driver, now).await? {
                Some(key) => Some(key),
                None => bail!("there is no live session of the digest {digest} to leave out"),
            },
        };
        let but = args.except.as_ref().map_or(String::new(), |digest| format!(" but {digest}"));
        if !confirm(&format!("end all sessions of {owner}{but}"), args.yes)? {
            println!("nothing was destroyed");
            return store.close(ExitCode::FAILURE).await;
        }
        let ended = driver.destroy_owned(owner, except.as_ref(), now, store.remember).await?;
        println!("destroyed {} of {owner}", output::sessions(ended));
        return store.close(ExitCode::SUCCESS).await;
    }

    let Some(digest) = &args.digest else { bail!("a digest or --owner is needed") };
    let key = match digest.resolve(driver, now).await? {
        Some(key) if driver.describe(&key, now).await?.is_some() => key,
        _ => bail!("there is no live session of the digest {digest}"),
    };
    if !confirm(&format!("end the session {}", key.to_hex()), args.yes)? {
        println!("nothing was destroyed");
        return store.close(ExitCode::FAILURE).await;
    }
    if !driver.destroy(&key, now, store.remember).await? {
        bail!("the session {} ended in the meantime", key.to_hex());
    }
    println!("destroyed the session {}", key.to_hex());
    store.close(ExitCode::SUCCESS).await
}
