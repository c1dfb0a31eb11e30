use std::{rc::Rc, sync::Arc};

use corosensei::Yielder;

use super::line::{Answer, Line, Shared, Wish};
use crate::{Changes, Host, Request, Task, operation::Id, visit};

/// A client: one of a visitor's tabs.
pub struct Client {
    pub number: usize,
    pub visitor: usize,
    pub requests: usize,
    pub shared: Rc<Shared>,
}

impl Client {
    /// Does its requests one after the other, each on a host drawn at random.
    pub fn run(&self, yielder: &Yielder<Answer, Wish>) {
        for _ in 0..self.requests {
            yielder.suspend(Wish::Sleep(self.pause()));
            let request = Request { id: self.cookie(), strict: self.draws(0.15), cleanup: 0.1, task: self.task() };
            let host = self.shared.random.borrow_mut().usize(..self.shared.skews.len());
            let id = self.visit(yielder, host, &request);
            // Sometimes the response is lost.
            if let Some(id) = id.filter(|id| Some(id) != request.id.as_ref() && !self.draws(0.05)) {
                self.shared.cookies.borrow_mut()[self.visitor].push(id);
            }
        }
    }

    /// Reads every session there ever was, under every id, on the host whose clock is the furthest behind.
    pub fn look(&self, yielder: &Yielder<Answer, Wish>) {
        let skews = self.shared.skews.iter().enumerate();
        let host = skews.min_by_key(|(_, skew)| **skew).map_or(0, |(host, _)| host);
        for id in self.shared.recorder.ids() {
            self.visit(yielder, host, &Request { id: Some(id), strict: false, cleanup: 0.0, task: Task::Read });
        }
    }

    fn visit(&self, yielder: &Yielder<Answer, Wish>, host: usize, request: &Request) -> Option<Id> {
        let line = Line { yielder, shared: Rc::clone(&self.shared), host };
        visit(&Host::new(line, self.number, host), &self.shared.recorder, request)
    }

    fn draws(&self, probability: f64) -> bool {
        self.shared.random.borrow_mut().f64() < probability
    }

    /// Mostly so short that requests overlap, seldom so long that a session may expire: then all clients pause, and go on at once.
    fn pause(&self) -> u64 {
        let (now, idle) = (self.shared.time.get(), u64::from(self.shared.settings.expires) * 1_000_000);
        let mut random = self.shared.random.borrow_mut();
        let pause = match random.u32(..100) {
            0..70 => random.u64(..5_000),
            70..95 => random.u64(..2_000_000),
            _ => {
                self.shared.night.set(now + idle / 2 + random.u64(..idle));
                0
            }
        };
        pause.max((self.shared.night.get() + random.u64(..5_000)).saturating_sub(now))
    }

    /// The visitor's last id, seldom an older one or none.
    fn cookie(&self) -> Option<Id> {
        let cookies = self.shared.cookies.borrow();
        let ids = &cookies[self.visitor];
        let mut random = self.shared.random.borrow_mut();
        match random.u32(..100) {
            0..3 => None,
            3..15 if !ids.is_empty() => Some(ids[random.usize(..ids.len())].clone()),
            _ => ids.last().cloned(),
        }
    }

    fn task(&self) -> Task {
        let owner = || Arc::from(if self.draws(0.5) { "ann" } else { "bob" });
        let choice = self.shared.random.borrow_mut().u32(..100);
        let mut changes = Changes::default();
        match choice {
            0..5 => return Task::Destroy,
            5..9 => return Task::DestroyOwned(owner()),
            9..11 => return Task::DestroyOthers,
            11..15 => return Task::Read,
            15..17 => {}
            17..22 => changes.regenerate = true,
            22..30 => {
                changes.owner = Some((!self.draws(0.2)).then(owner));
                changes.regenerate = self.draws(0.5);
            }
            30..35 => {
                changes.clear = true;
                self.set(&mut changes, "x");
            }
            35..40 => changes.deletes.push("x".into()),
            40..65 => _ = changes.adds.insert("sum".into(), 1),
            65..80 => {
                self.set(&mut changes, "x");
                self.set(&mut changes, "y");
            }
            _ => self.set(&mut changes, ["a", "b", "c", "d"][self.number % 4]),
        }
        Task::Save(changes)
    }

    /// Sets a variable to a value that was never set before.
    fn set(&self, changes: &mut Changes, name: &str) {
        let value = self.shared.value.get() + 1;
        self.shared.value.set(value);
        changes.sets.insert(name.into(), value);
    }
}
