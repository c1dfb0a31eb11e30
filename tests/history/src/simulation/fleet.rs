use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::BinaryHeap,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use corosensei::{Coroutine, CoroutineResult, stack::DefaultStack};
use lemon_session_rules::Settings;
use lemon_session_store::{Error, Result};

use super::{
    Replication, Setup,
    client::Client,
    line::{Answer, BEGIN, Shared, Wish},
    replicas::Replicas,
};
use crate::{
    Ask, Recorder, Reply,
    operation::{Action, Operation},
};

/// How long a host waits for an answer, in microseconds.
const PATIENCE: u64 = 1_000_000;
/// How long there is no store when it fails over, in microseconds.
const OUTAGE: u64 = 300_000;
/// The most that a client's stack takes.
const STACK: usize = 256 * 1024;

/// What a clock that is right shows after this many microseconds, in seconds since 1970-01-01T00:00:00Z.
fn true_time(after: u64) -> u64 {
    BEGIN + after / 1_000_000
}

/// A run: the clients, the network and the store.
pub struct Fleet {
    shared: Rc<Shared>,
    setup: Setup,
    replicas: Replicas,
    /// What is to happen, by time; what happens at one time happens in the order in which it was planned.
    events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    planned: usize,
    clients: Vec<Stack>,
    /// How many of them have not come to their end.
    active: usize,
    /// The call whose answer each client waits for.
    waiting: Vec<Option<usize>>,
    calls: Vec<Call>,
    /// The probability that a call or an answer is lost.
    loss: f64,
    /// Until when there is no store.
    down: u64,
    /// How often the store failed over. An answer from before does not arrive.
    failovers: usize,
}

type Stack = Option<Coroutine<Answer, Wish, (), DefaultStack>>;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client goes on.
    Wake(usize),
    /// A call arrives at the store.
    Arrive(usize),
    /// The store goes on with a call.
    Step(usize),
    /// An answer arrives at the host.
    Answer(usize),
    /// The host gives up waiting for an answer.
    GiveUp(usize),
    /// The store fails over.
    FailOver,
}

/// A call of the store that is on its way.
struct Call {
    ask: Rc<Ask>,
    /// Who waits for the answer; none for a cleanup in the background.
    client: Option<usize>,
    host: usize,
    sent: u64,
    clock: u64,
    repeated: bool,
    failovers: usize,
    future: Option<Pin<Box<dyn Future<Output = Result<Reply>>>>>,
    /// The answer that is on its way back.
    answer: Option<Result<Reply>>,
}

thread_local! {
    /// Stacks of earlier runs. To map one takes longer than to run a client on it.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

impl Fleet {
    pub fn new(seed: u64, setup: &Setup) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let skew = if random.bool() { setup.skew as i64 } else { setup.skew.min(1) as i64 };
        let skews = (0..random.usize(2..=3)).map(|_| random.i64(-skew..=skew)).collect();
        let visitors = random.usize(1..=2);
        let clients = random.usize(2..=4);
        let loss = [0.0, 0.02, 0.1][random.usize(..3)];
        let expires = [20, 300, 1440][random.usize(..3)];
        let failovers: Vec<u64> = match setup.replication {
            Replication::None => Vec::new(),
            _ => (0..random.usize(1..=2)).map(|_| random.u64(..4_000_000)).collect(),
        };
        let shared = Rc::new(Shared {
            time: Cell::new(0),
            random: RefCell::new(random),
            recorder: Recorder::default(),
            settings: Settings { expires, max_lifetime: 0, cleanup: 0.0, ..Settings::default() },
            cookies: RefCell::new(vec![Vec::new(); visitors]),
            night: Cell::new(0),
            value: Cell::new(0),
            skews,
        });
        let mut fleet = Self {
            shared,
            setup: *setup,
            replicas: Replicas::new(setup),
            events: BinaryHeap::new(),
            planned: 0,
            clients: Vec::new(),
            active: 0,
            waiting: Vec::new(),
            calls: Vec::new(),
            loss,
            down: 0,
            failovers: 0,
        };
        for at in failovers {
            fleet.plan(at, Event::FailOver);
        }
        for number in 0..clients {
            fleet.add(number % visitors, |client, yielder| client.run(yielder));
        }
        fleet
    }

    /// Runs until all clients have done their requests, and then reads every session.
    pub fn run(mut self) -> Vec<Operation> {
        self.go_on();
        self.loss = 0.0;
        self.add(0, |client, yielder| client.look(yielder));
        self.go_on();
        let operations = self.shared.recorder.take();
        if !self.setup.has_clock {
            return operations;
        }
        let by_the_store = |operation: Operation| {
            let meanwhile = true_time(operation.invoked)..=true_time(operation.completed);
            operation.by_the_store(meanwhile)
        };
        operations.into_iter().map(by_the_store).collect()
    }

    fn go_on(&mut self) {
        while self.active > 0 {
            let Reverse((at, _, event)) = self.events.pop().expect("a client waits for something");
            self.shared.time.set(at);
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(client) => self.resume(client, None),
            Event::Arrive(call) => self.arrive(call),
            Event::Step(call) => self.step(call),
            Event::Answer(call) => {
                if let Some(client) = self.waits_for(call) {
                    let answer = self.calls[call].answer.take();
                    self.resume(client, answer);
                }
            }
            Event::GiveUp(call) => self.give_up(call),
            Event::FailOver => self.fail_over(),
        }
    }

    fn add(&mut self, visitor: usize, run: fn(&Client, &corosensei::Yielder<Answer, Wish>)) {
        let number = self.clients.len();
        let client = Client { number, visitor, requests: 6, shared: Rc::clone(&self.shared) };
        let stack = STACKS.with_borrow_mut(Vec::pop);
        let stack = stack.unwrap_or_else(|| DefaultStack::new(STACK).expect("there is memory for a stack"));
        self.clients.push(Some(Coroutine::with_stack(stack, move |yielder, _| run(&client, yielder))));
        self.waiting.push(None);
        self.active += 1;
        self.plan(self.now(), Event::Wake(number));
    }

    /// A client goes on until it waits for something.
    fn resume(&mut self, client: usize, mut answer: Answer) {
        self.waiting[client] = None;
        loop {
            let stack = self.clients[client].as_mut().expect("it has not come to its end");
            match stack.resume(answer) {
                CoroutineResult::Yield(Wish::Sleep(time)) => return self.plan(self.now() + time, Event::Wake(client)),
                CoroutineResult::Yield(Wish::Call(ask, host)) => {
                    let call = self.send(Rc::new(ask), Some(client), host, false);
                    self.waiting[client] = Some(call);
                    return self.plan(self.now() + PATIENCE, Event::GiveUp(call));
                }
                CoroutineResult::Yield(Wish::Later(ask, host)) => {
                    self.send(Rc::new(ask), None, host, false);
                    answer = None;
                }
                CoroutineResult::Return(()) => {
                    let stack = self.clients[client].take().expect("it has just come to its end").into_stack();
                    STACKS.with_borrow_mut(|stacks| stacks.push(stack));
                    self.active -= 1;
                    return;
                }
            }
        }
    }

    /// Sends a call on its way to the store; it may be lost.
    fn send(&mut self, ask: Rc<Ask>, client: Option<usize>, host: usize, repeated: bool) -> usize {
        let sent = self.now();
        let clock = self.shared.clock(host).as_secs();
        let call = self.calls.len();
        self.calls.push(Call { ask, client, host, sent, clock, repeated, failovers: 0, future: None, answer: None });
        if let Some(at) = self.transmitted() {
            self.plan(at, Event::Arrive(call));
        }
        call
    }

    /// When something that is sent now arrives, if it does.
    fn transmitted(&self) -> Option<u64> {
        let mut random = self.shared.random.borrow_mut();
        if random.f64() < self.loss {
            return None;
        }
        let is_late = self.loss > 0.0 && random.u32(..50) == 0;
        let delay = if is_late { random.u64(..3 * PATIENCE) } else { random.u64(200..2_000) };
        Some(self.now() + delay)
    }

    fn arrive(&mut self, call: usize) {
        let now = self.now();
        if now < self.down {
            return self.answer(call, Err(Error::unavailable("there is no primary")));
        }
        let call_at = &mut self.calls[call];
        if self.setup.has_clock {
            call_at.ask = Rc::new(Ask::clone(&call_at.ask).at_most(true_time(now)));
        }
        let ask = Rc::clone(&call_at.ask);
        let store = match *ask {
            Ask::Load { .. } if self.setup.reads_replica => self.replicas.replica(now),
            _ => self.replicas.called(now, &ask),
        };
        call_at.failovers = self.failovers;
        call_at.future = Some(Box::pin(async move { ask.put_to(&*store).await }));
        self.step(call);
    }

    fn step(&mut self, call: usize) {
        let Some(future) = &mut self.calls[call].future else { return };
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => {
                self.calls[call].future = None;
                self.note_cleanup(call);
                if self.calls[call].failovers == self.failovers {
                    self.answer(call, answer);
                }
            }
            Poll::Pending => {
                let pause = self.shared.random.borrow_mut().u64(..1_000);
                self.plan(self.now() + pause, Event::Step(call));
            }
        }
    }

    fn answer(&mut self, call: usize, answer: Result<Reply>) {
        if self.calls[call].client.is_some()
            && let Some(at) = self.transmitted()
        {
            self.calls[call].answer = Some(answer);
            self.plan(at, Event::Answer(call));
        }
    }

    fn waits_for(&self, call: usize) -> Option<usize> {
        self.calls[call].client.filter(|client| self.waiting[*client] == Some(call))
    }

    fn give_up(&mut self, call: usize) {
        let Some(client) = self.waits_for(call) else { return };
        let Call { ask, host, repeated, .. } = &self.calls[call];
        if self.setup.repeats && !repeated && matches!(**ask, Ask::Update { .. }) {
            let (ask, host) = (Rc::clone(ask), *host);
            let again = self.send(ask, Some(client), host, true);
            self.waiting[client] = Some(again);
            return self.plan(self.now() + PATIENCE, Event::GiveUp(again));
        }
        self.resume(client, Some(Err(Error::unavailable("no answer in time"))));
    }

    fn fail_over(&mut self) {
        let now = self.now();
        self.replicas.fail_over(now);
        self.failovers += 1;
        self.down = now + OUTAGE;
        self.note(now, 0, 0, Action::Failover);
    }

    fn note_cleanup(&self, call: usize) {
        let Call { ask, sent, clock, host, .. } = &self.calls[call];
        if let Ask::Cleanup { .. } = **ask {
            self.note(*sent, *host, *clock, Action::Cleanup);
        }
    }

    fn note(&self, invoked: u64, host: usize, clock: u64, action: Action) {
        let recorder = &self.shared.recorder;
        let (request, completed) = (recorder.number(), self.now());
        let operation =
            Operation { client: usize::MAX, host, request, invoked, completed, clock: clock..=clock, action };
        recorder.note(operation);
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.events.push(Reverse((at, self.planned, event)));
    }

    fn now(&self) -> u64 {
        self.shared.time.get()
    }
}
