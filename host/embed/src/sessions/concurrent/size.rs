//! How much of the host's memory the arguments and results of a call take.

use wasmtime::component::ResourceAny;

use crate::bindings::{
    application::lemon::session::sessions::Options,
    exports::lemon::session::{
        manager::{Entry, Page},
        sessions::Metadata,
    },
    lemon::session::types::{Location, Value},
};

/// The size of the data behind a value, in bytes.
pub(super) trait Size {
    fn size(&self) -> usize;
}

macro_rules! nothing_behind {
    ($($of:ty),*) => {
        $(impl Size for $of {
            fn size(&self) -> usize {
                0
            }
        })*
    };
}

nothing_behind!((), bool, u32, u64, i64, ResourceAny);

impl Size for String {
    fn size(&self) -> usize {
        self.capacity()
    }
}

impl Size for Value {
    fn size(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.capacity(),
            Self::Bytes(bytes) => bytes.capacity(),
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Real(_) => 0,
        }
    }
}

impl<T: Size> Size for Option<T> {
    fn size(&self) -> usize {
        self.as_ref().map_or(0, Size::size)
    }
}

/// Only of what was asked for: the text of an error is short.
impl<T: Size, E> Size for Result<T, E> {
    fn size(&self) -> usize {
        self.as_ref().map_or(0, Size::size)
    }
}

impl<A: Size, B: Size> Size for (A, B) {
    fn size(&self) -> usize {
        self.0.size().saturating_add(self.1.size())
    }
}

impl<T: Size> Size for Vec<T> {
    fn size(&self) -> usize {
        let own = self.capacity().saturating_mul(size_of::<T>());
        self.iter().map(Size::size).fold(own, usize::saturating_add)
    }
}

impl Size for Location {
    fn size(&self) -> usize {
        self.storage.size().saturating_add(self.table.size())
    }
}

impl Size for Options {
    fn size(&self) -> usize {
        let cookie = self.cookie.as_ref();
        let texts = cookie.map_or(0, |cookie| {
            [&cookie.name, &cookie.path, &cookie.domain, &cookie.comment].map(Size::size).iter().sum()
        });
        let values = self.cookies.iter().map(|value| size_of_val(value) + value.capacity()).sum();
        [self.app.size(), self.session_id.size(), self.location.size(), self.seed.size(), texts, values].iter().sum()
    }
}

impl Size for Metadata {
    fn size(&self) -> usize {
        let texts = [self.method.size(), self.label.size(), self.address.size(), self.user_agent.size()];
        texts.into_iter().fold(0, usize::saturating_add)
    }
}

impl Size for Page {
    fn size(&self) -> usize {
        self.entries.size().saturating_add(self.next.size())
    }
}

impl Size for Entry {
    fn size(&self) -> usize {
        let texts = [&self.owner, &self.method, &self.label, &self.address, &self.user_agent].map(Size::size);
        texts.into_iter().chain([self.digest.size()]).fold(0, usize::saturating_add)
    }
}
