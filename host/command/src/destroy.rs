//! `lemon-session destroy`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lemon_session_host::store::{DestroyCondition, Digest, Inspect, Store};
use serde_json::json;

use crate::{confirm::confirm, digest::DigestPrefix, output, progress::Progress, sessions, storage};

/// End one session, or all sessions of an owner, immediately. Requests that are using them fail to save.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lemon-session destroy 3f2a91c0
  lemon-session destroy --owner alice --yes")]
pub struct Args {
    /// The digest of the session's id, or at least its first 8 digits.
    #[arg(required_unless_present = "owner", conflicts_with = "owner")]
    digest: Option<DigestPrefix>,

    /// End all sessions of this owner.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,

    /// Keep the session with this digest.
    #[arg(long, value_name = "DIGEST", requires = "owner")]
    except: Option<DigestPrefix>,

    #[command(flatten)]
    storage: storage::Args,

    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<ExitCode> {
    let store = storage::open(&args.storage).await?;
    let driver = &*store.driver;
    let now = output::now();

    let destroyed = match (&args.owner, &args.digest) {
        (Some(owner), _) => destroy_owned(driver, owner, &args, now, store.remember).await?,
        (None, Some(digest)) => destroy(driver, digest, &args, now, store.remember).await?,
        (None, None) => bail!("pass a digest or --owner"),
    };
    if args.json {
        output::line(json!({ "destroyed": destroyed.as_ref().map_or(0, |(count, _)| *count) }))?;
    } else {
        output::line(destroyed.as_ref().map_or("nothing was destroyed", |(_, text)| text.as_str()))?;
    }
    store.close(if destroyed.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE }).await
}

/// The number of sessions that were ended, and the message; `None` if the operator declined.
type Destroyed = Option<(u64, String)>;

async fn destroy_owned(driver: &dyn Store, owner: &str, args: &Args, now: u64, remember: u32) -> Result<Destroyed> {
    let except = match &args.except {
        None => None,
        Some(digest) => match digest.resolve(driver, now).await? {
            Some(key) => Some(key),
            None => bail!("there is no live session with the digest {digest} to keep"),
        },
    };
    let but = args.except.as_ref().map_or(String::new(), |digest| format!(" except {digest}"));
    if !args.yes {
        let what = match driver.inspect() {
            Some(inspect) => {
                format!("end {} of {owner}{but}", output::sessions(count(inspect, owner, except, now).await?))
            }
            None => format!("end all sessions of {owner}{but}"),
        };
        if !confirm(&what, false)? {
            return Ok(None);
        }
    }
    let progress = Progress::start("ending sessions");
    let ended = driver.destroy_owned(owner, except.as_ref(), now, remember).await?;
    drop(progress);
    Ok(Some((ended, format!("destroyed {} of {owner}", output::sessions(ended)))))
}

/// How many sessions of an owner would be ended.
async fn count(inspect: &dyn Inspect, owner: &str, except: Option<Digest>, now: u64) -> Result<u64> {
    let mut count = 0;
    sessions::each(inspect, now, Some(owner), |listed| count += u64::from(Some(listed.digest) != except)).await?;
    Ok(count)
}

async fn destroy(driver: &dyn Store, digest: &DigestPrefix, args: &Args, now: u64, remember: u32) -> Result<Destroyed> {
    let Some(key) = digest.resolve(driver, now).await? else {
        bail!("there is no live session with the digest {digest}");
    };
    let mut what = format!("end the session {}", key.to_hex());
    if let Some(inspect) = driver.inspect() {
        match inspect.describe(&key, now).await {
            Ok(None) => bail!("there is no live session with the digest {digest}"),
            Ok(Some((record, variables))) => {
                let owner =
                    record.owner.as_deref().map_or(String::new(), |owner| format!(" of {}", output::name(owner)));
                let used = output::ago(record.accessed, now);
                let variables = output::counted(variables.len() as u64, "variable");
                what = format!("{what}{owner}, last used {used}, with {variables}");
            }
            Err(error) if error.is_unsupported() => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !confirm(&what, args.yes)? {
        return Ok(None);
    }
    if !driver.destroy(&key, &DestroyCondition::Any, now, remember).await? {
        bail!("the session {} has already ended", key.to_hex());
    }
    Ok(Some((1, format!("destroyed the session {}", key.to_hex()))))
}
