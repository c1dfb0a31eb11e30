//! A request on its way to the application: the rules in their order.

use lemon_session::{Cookie, Error, Headers, Options, Request, Result, asynchronous, check_same_origin};
use lemon_session_rules::path::Readings;

use crate::{
    config::Config,
    rate::{Rate, Window},
    refusal::Refusal,
};

/// The application whose variables are the guard's.
const APP: &str = "lemon-guard";

/// What the guard does with a session.
pub trait Session {
    /// Whether the start began it: the visitor brought none.
    fn created(&self) -> bool;
    /// Its owner.
    fn owner(&self) -> impl Future<Output = Result<Option<String>>>;
    /// The names of the guard's variables.
    fn keys(&self) -> impl Future<Output = Result<Vec<String>>>;
    /// The number in one of them.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<i64>>>;
    /// Adds to the number in one of them.
    fn add(&self, key: &str, delta: i64) -> impl Future<Output = Result<i64>>;
    /// Removes one of them.
    fn delete(&self, key: &str) -> impl Future<Output = Result<bool>>;
    /// Stores the changes, and keeps the session alive.
    fn save(&self) -> impl Future<Output = Result<Headers>>;
}

impl Session for asynchronous::Session {
    fn created(&self) -> bool {
        self.created()
    }

    async fn owner(&self) -> Result<Option<String>> {
        self.owner().await
    }

    async fn keys(&self) -> Result<Vec<String>> {
        self.keys().await
    }

    async fn get(&self, key: &str) -> Result<Option<i64>> {
        self.get(key).await
    }

    async fn add(&self, key: &str, delta: i64) -> Result<i64> {
        self.add(key, delta).await
    }

    async fn delete(&self, key: &str) -> Result<bool> {
        self.delete(key).await
    }

    async fn save(&self) -> Result<Headers> {
        self.save().await
    }
}

/// When a request came, and its luck.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since 1970.
    pub now: u64,
    /// Any number with the same probability.
    pub random: u64,
}

/// What is known of a request that may pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The owner of the visitor's session.
    pub owner: Option<String>,
    /// The headers that the session's save returned.
    pub session: Headers,
}

impl Config {
    /// The parameters with which a session is started.
    pub fn options(&self) -> Options {
        let cookie = Cookie { name: Some(self.cookie.clone()), ..Cookie::default() };
        // Two guards that count requests of one session at once have no conflict.
        let options = Options::new().app(APP).cookie(cookie).strict(false);
        let options = self.storage.iter().fold(options, Options::storage);
        self.table.iter().fold(options, Options::table)
    }

    /// Applies the rules to a request. `target` is its path and query.
    ///
    /// A session that does not exist is not begun: that is for the application. One that exists is saved, so that it lives on,
    /// before the application sees the request.
    ///
    /// # Errors
    ///
    /// Fails with the answer to a request that may not pass.
    pub async fn admit<S: Session>(
        &self,
        request: &impl Request,
        target: &str,
        moment: Moment,
        start: impl AsyncFnOnce(Options) -> Result<S>,
    ) -> Result<Passed, Refusal> {
        let path = Readings::of(target);
        if !path.are_below(&self.cross_site) {
            check_same_origin(request)?;
        }
        let passed = self.visitor(request, moment, start).await?;
        if passed.owner.is_none() && path.are_protected(&self.protect, &self.public) {
            let refusal = Refusal::no_owner(&request.method(), self.login.as_deref());
            return Err(Refusal { session: passed.session, ..refusal });
        }
        Ok(passed)
    }

    /// The visitor's session, if there is one.
    async fn visitor<S: Session>(
        &self,
        request: &impl Request,
        moment: Moment,
        start: impl AsyncFnOnce(Options) -> Result<S>,
    ) -> Result<Passed, Refusal> {
        if request.cookies().is_empty() {
            return Ok(Passed::default());
        }
        let session = start(self.options()).await?;
        if session.created() {
            return Ok(Passed::default());
        }
        let owner = session.owner().await?.filter(|owner| !owner.is_empty());
        if let Some(rate) = self.rate {
            count(&session, rate, moment).await?;
        }
        match session.save().await {
            Ok(session) => Ok(Passed { owner, session }),
            // Another request has ended it in the meantime.
            Err(Error::Gone) => Ok(Passed::default()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Counts a request, to be saved with the session, and removes the counts of past windows.
async fn count(session: &impl Session, rate: Rate, Moment { now, random }: Moment) -> Result<(), Refusal> {
    let Window { variable, ends_in } = rate.window_at(now);
    let counted = session.get(&variable).await?.unwrap_or(0);
    if rate.is_exceeded(counted) {
        return Err(Refusal::too_many(ends_in));
    }
    if let Some(more) = rate.to_add(counted, random) {
        for past in session.keys().await?.iter().filter(|key| **key != variable) {
            session.delete(past).await?;
        }
        session.add(&variable, more).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::BTreeMap,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    /// A request with these fields.
    struct Sent {
        method: &'static str,
        fields: Vec<(&'static str, &'static str)>,
    }

    impl Request for Sent {
        fn cookies(&self) -> Vec<Vec<u8>> {
            self.header("cookie")
        }

        fn https(&self) -> bool {
            false
        }

        fn method(&self) -> String {
            self.method.to_owned()
        }

        fn host(&self) -> Option<String> {
            Some("example.org".to_owned())
        }

        fn header(&self, name: &str) -> Vec<Vec<u8>> {
            let fields = self.fields.iter().filter(|(field, _)| *field == name);
            fields.map(|(_, value)| value.as_bytes().to_vec()).collect()
        }
    }

    const COOKIE: (&str, &str) = ("cookie", "shop=id");
    const CROSS_SITE: (&str, &str) = ("sec-fetch-site", "cross-site");

    fn get() -> Sent {
        Sent { method: "GET", fields: vec![COOKIE] }
    }

    /// What the store has of the one session, and what is done with it.
    #[derive(Default)]
    struct Store {
        owner: Option<&'static str>,
        created: bool,
        stored: RefCell<BTreeMap<String, i64>>,
        failure: RefCell<Option<Error>>,
        starts: Cell<u32>,
        saves: Cell<u32>,
        writes: Cell<u32>,
    }

    impl Store {
        fn of(owner: Option<&'static str>) -> Self {
            Self { owner, ..Self::default() }
        }

        fn start(&self) -> Result<Open<'_>> {
            self.starts.set(self.starts.get() + 1);
            Ok(Open { store: self, variables: RefCell::new(self.stored.borrow().clone()) })
        }

        fn admit(&self, config: &Config, request: &Sent, target: &str, moment: Moment) -> Result<Passed, Refusal> {
            let admitted = pin!(config.admit(request, target, moment, async |_| self.start()));
            match admitted.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(admitted) => admitted,
                Poll::Pending => panic!("nothing here waits"),
            }
        }
    }

    struct Open<'a> {
        store: &'a Store,
        variables: RefCell<BTreeMap<String, i64>>,
    }

    impl Session for Open<'_> {
        fn created(&self) -> bool {
            self.store.created
        }

        async fn owner(&self) -> Result<Option<String>> {
            Ok(self.store.owner.map(str::to_owned))
        }

        async fn keys(&self) -> Result<Vec<String>> {
            Ok(self.variables.borrow().keys().cloned().collect())
        }

        async fn get(&self, key: &str) -> Result<Option<i64>> {
            Ok(self.variables.borrow().get(key).copied())
        }

        async fn add(&self, key: &str, delta: i64) -> Result<i64> {
            *self.variables.borrow_mut().entry(key.to_owned()).or_default() += delta;
            Ok(self.variables.borrow()[key])
        }

        async fn delete(&self, key: &str) -> Result<bool> {
            Ok(self.variables.borrow_mut().remove(key).is_some())
        }

        async fn save(&self) -> Result<Headers> {
            self.store.saves.set(self.store.saves.get() + 1);
            if let Some(error) = self.store.failure.take() {
                return Err(error);
            }
            if *self.variables.borrow() != *self.store.stored.borrow() {
                self.store.writes.set(self.store.writes.get() + 1);
                *self.store.stored.borrow_mut() = self.variables.borrow().clone();
            }
            Ok(saved())
        }
    }

    fn saved() -> Headers {
        [("vary".to_owned(), "Cookie".to_owned())].into_iter().collect()
    }

    fn config(variables: &[(&str, &str)]) -> Config {
        let name = |name: &str| format!("LEMON_GUARD_{name}");
        let variables = [&[("COOKIE", "shop")], variables].concat();
        Config::read(variables.iter().map(|(key, value)| (name(key), (*value).to_owned()))).unwrap()
    }

    const NOW: Moment = Moment { now: 1000, random: 0 };

    #[test]
    fn the_owner_of_the_session_passes_protected_paths() {
        let (config, store) = (config(&[("PROTECT", "/account")]), Store::of(Some("ann")));
        let passed = store.admit(&config, &get(), "/account", NOW);
        assert_eq!(passed, Ok(Passed { owner: Some("ann".to_owned()), session: saved() }));
    }

    #[test]
    fn a_session_without_an_owner_is_refused_on_protected_paths_and_lives_on() {
        let config = config(&[("PROTECT", "/account"), ("LOGIN", "/login")]);
        for owner in [None, Some("")] {
            let store = Store::of(owner);
            let refusal = store.admit(&config, &get(), "/account/orders", NOW).unwrap_err();
            assert_eq!((refusal.status, refusal.session, store.saves.get()), (303, saved(), 1));
            assert_eq!(store.admit(&config, &get(), "/", NOW), Ok(Passed { owner: None, session: saved() }));
        }
    }

    #[test]
    fn a_visitor_without_a_session_gets_none() {
        let config = config(&[("PROTECT", "/account")]);
        let store = Store { created: true, ..Store::of(None) };
        assert_eq!(store.admit(&config, &get(), "/", NOW), Ok(Passed::default()));
        assert_eq!(store.admit(&config, &get(), "/account", NOW).unwrap_err().status, 401);
        assert_eq!((store.starts.get(), store.saves.get()), (2, 0));

        let without_cookies = Sent { method: "GET", fields: Vec::new() };
        assert_eq!(store.admit(&config, &without_cookies, "/", NOW), Ok(Passed::default()));
        assert_eq!(store.starts.get(), 2, "no store is asked where no cookie is sent");
    }

    #[test]
    fn a_request_of_another_site_is_refused_before_the_store_is_asked() {
        let (config, store) = (config(&[("CROSS_SITE", "/hooks")]), Store::of(Some("ann")));
        let post = Sent { method: "POST", fields: vec![COOKIE, CROSS_SITE] };
        assert_eq!(store.admit(&config, &post, "/transfer", NOW).unwrap_err().status, 403);
        assert_eq!(store.admit(&config, &post, "/hooks/../transfer", NOW).unwrap_err().status, 403);
        assert_eq!(store.starts.get(), 0);
        assert!(store.admit(&config, &post, "/hooks/pay", NOW).is_ok());
    }

    #[test]
    fn a_store_that_fails_lets_nobody_pass() {
        let store = Store::of(Some("ann"));
        store.failure.replace(Some(Error::Storage("unavailable".to_owned())));
        let refusal = store.admit(&config(&[]), &get(), "/", NOW).unwrap_err();
        assert_eq!(refusal.status, 503);
    }

    #[test]
    fn a_session_that_ends_meanwhile_has_no_owner() {
        let (config, store) = (config(&[("PROTECT", "/account")]), Store::of(Some("ann")));
        store.failure.replace(Some(Error::Gone));
        assert_eq!(store.admit(&config, &get(), "/account", NOW).unwrap_err().status, 401);
        store.failure.replace(Some(Error::Gone));
        assert_eq!(store.admit(&config, &get(), "/", NOW), Ok(Passed::default()));
    }

    #[test]
    fn requests_beyond_the_rate_are_refused_until_the_window_ends() {
        let (config, store) = (config(&[("REQUESTS", "3"), ("WINDOW", "10")]), Store::of(None));
        for _ in 0..3 {
            assert!(store.admit(&config, &get(), "/", NOW).is_ok());
        }
        let saves = store.saves.get();
        let refusal = store.admit(&config, &get(), "/", Moment { now: 1009, ..NOW }).unwrap_err();
        assert_eq!((refusal.status, store.saves.get()), (429, saves));
        assert!(refusal.headers.contains(&("retry-after", "1".to_owned())));
        assert!(store.admit(&config, &get(), "/", Moment { now: 1010, ..NOW }).is_ok());
        assert_eq!(*store.stored.borrow(), BTreeMap::from([("101".to_owned(), 1)]), "past windows are forgotten");
    }

    #[test]
    fn a_request_that_is_not_counted_writes_nothing() {
        let (config, store) = (config(&[("REQUESTS", "600")]), Store::of(None));
        for random in 0..36 {
            assert!(store.admit(&config, &get(), "/", Moment { random, ..NOW }).is_ok());
        }
        assert_eq!((store.writes.get(), store.stored.borrow()["16"]), (2, 36));
        let without_rate = Store::of(None);
        assert!(without_rate.admit(&super::tests::config(&[]), &get(), "/", NOW).is_ok());
        assert_eq!((without_rate.saves.get(), without_rate.writes.get()), (1, 0));
    }
}
