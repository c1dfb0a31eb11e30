//! The Lua scripts and their arguments.

use std::sync::LazyLock;

use lemon_session_store::{DestroyCondition, Digest};
use redis::Cmd;

/// A script. The server caches it by the SHA-1 digest of its text.
pub struct Script {
    text: String,
    digest: String,
}

macro_rules! scripts {
    ($($name:ident: $($file:literal)+;)+) => {
        $(pub static $name: LazyLock<Script> = LazyLock::new(|| Script::new(&[$(include_str!(concat!("scripts/", $file))),+]));)+
    };
}

scripts! {
    LOAD: "common.lua" "load.lua";
    FETCH: "common.lua" "fetch.lua";
    REUSE: "common.lua" "reuse.lua";
    IDENTITY: "common.lua" "identity.lua";
    DESCRIBE: "common.lua" "describe.lua";
    EXPORT: "common.lua" "export.lua";
    CREATE: "common.lua" "create.lua";
    UPDATE: "common.lua" "change.lua" "leave.lua" "update.lua";
    PLACE: "common.lua" "change.lua" "place.lua";
    DEPART: "common.lua" "leave.lua" "depart.lua";
    SETTLE: "common.lua" "settle.lua";
    DESTROY: "common.lua" "end.lua" "destroy.lua";
    DESTROY_OWNED: "common.lua" "end.lua" "destroy_owned.lua";
    INDEX: "common.lua" "index.lua";
}

impl Script {
    fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The call by the script's digest.
    pub fn by_digest(&self, keys: &[String], args: &Args) -> Cmd {
        Self::call("EVALSHA", &self.digest, keys, args)
    }

    /// The call by the script's text, for a server that has not cached it. It caches it then.
    pub fn by_text(&self, keys: &[String], args: &Args) -> Cmd {
        Self::call("EVAL", &self.text, keys, args)
    }

    fn call(command: &str, script: &str, keys: &[String], args: &Args) -> Cmd {
        let mut cmd = redis::cmd(command);
        cmd.arg(script).arg(keys.len()).arg(keys).arg(&args.0);
        cmd
    }
}

/// The arguments of a call.
#[derive(Clone)]
pub struct Args(Vec<Vec<u8>>);

/// The latest time that can be stored: Lua's numbers are exact up to here.
pub const FAR: u64 = (1 << 53) - 1;

impl Args {
    /// The caller's time, the first argument of every script.
    pub fn at(now: u64) -> Self {
        Self(Vec::new()).time(now)
    }

    pub fn time(self, time: u64) -> Self {
        self.number(time.min(FAR))
    }

    /// A time, or an empty argument.
    pub fn time_if(self, time: Option<u64>) -> Self {
        match time {
            Some(time) => self.time(time),
            None => self.bytes(b""),
        }
    }

    pub fn number(self, number: u64) -> Self {
        self.bytes(number.to_string().as_bytes())
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(bytes.to_vec());
        self
    }

    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub fn key(self, key: &Digest) -> Self {
        self.text(&key.to_hex())
    }

    /// The condition of `DESTROY`.
    pub fn condition(self, only: &DestroyCondition) -> Self {
        match only {
            DestroyCondition::Any => self.bytes(b""),
            DestroyCondition::Expired => self.bytes(b"-"),
            DestroyCondition::Owned(owner) => self.owner(Some(owner)),
        }
    }

    /// `+` and the owner, or an empty argument: an owner may be the empty string.
    pub fn owner(self, owner: Option<&str>) -> Self {
        match owner {
            Some(owner) => self.text(&format!("+{owner}")),
            None => self.bytes(b""),
        }
    }

    pub fn many<'a>(mut self, all: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.0.extend(all.into_iter().map(<[u8]>::to_vec));
        self
    }
}
