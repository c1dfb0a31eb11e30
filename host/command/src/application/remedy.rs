//! What the author of an application can do about a failure.

use wasmtime::Trap;

use super::{Failure, budget::OverBudget, failure::Reason, report::Report};

impl Failure {
    /// What its author can do about it, if that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        Some(match self {
            Self::TimedOut => {
                "The handler ran for longer than [server] request-time. Look for a loop or a wait that does not end; if the \
                 handler needs more time, raise request-time in lemon.ini."
            }
            Self::Overloaded => {
                "As many requests are being answered as [server] in-flight allows, and none of them ended within queue-time. \
                 Look for requests that take long."
            }
            Self::Stopped => {
                "The same instance was answering another request, which failed. The terminal shows why; [server] \
                 concurrency = 1 gives each request an instance of its own."
            }
            Self::NotLoaded(_) => {
                "Build the application again. It is loaded when its file changes; then reload this page. A version that was \
                 loaded before still answers the requests that are not for pages."
            }
            Self::Failed(error) => return of_error(error),
            _ => return None,
        })
    }
}

fn of_error(error: &wasmtime::Error) -> Option<&'static str> {
    match error.downcast_ref::<Reason>() {
        Some(Reason::Memory) => {
            return Some(
                "Look for data that grows without a limit; if the application needs more memory, raise [server] memory in \
                 lemon.ini.",
            );
        }
        Some(Reason::NoResponse) => {
            return Some("Begin a response on every way through the handler; also for a path that it does not know.");
        }
        Some(Reason::HandedOver) => {
            return Some("Pass less in one call, or raise one of the two limits in lemon.ini.");
        }
        None => {}
    }
    if error.is::<OverBudget>() {
        return Some("Close what the handler no longer needs, or raise [server] request-memory in lemon.ini.");
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => Some("Look for a function that calls itself without an end."),
        Some(Trap::UnreachableCodeReached) if !error.is::<Report>() => Some(
            "The application stopped itself and did not print why. The frames below show where; a build with names, such as \
             one in debug mode, shows more.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_knows_better_counts_more_than_the_trap() {
        let trap = || wasmtime::Error::from(Trap::UnreachableCodeReached);
        let of = |error: wasmtime::Error| Failure::Failed(error).remedy().unwrap_or_default();
        assert!(of(trap().context(Reason::Memory)).contains("[server] memory"));
        assert!(of(trap()).contains("did not print why"));
        let report = Report::begin("thread 'main' panicked at src/lib.rs:1:2:", false).unwrap();
        assert_eq!(of(trap().context(report)), "", "the panic says it all");
        assert!(of(Trap::StackOverflow.into()).contains("calls itself"));
        assert!(of(OverBudget.into()).contains("request-memory"));
    }
}
