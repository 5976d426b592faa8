//! The facts that a proof of direction starts from: requests and numbered answers. Times are in
//! nanoseconds.

/// When a request was sent, and by when it had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) sent: u64,
    pub(super) by: u64,
}

/// Requests in a row that were answered under numbers in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) session: u32,
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) first: Span,
    pub(super) last: Span,
}

impl Known {
    /// By when one of them had arrived.
    pub(super) fn by(&self) -> u64 {
        self.first.by.min(self.last.by)
    }
}

/// Requests in a row that were not answered, or of which that is not asked: nearly always one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) session: u32,
    /// When the first and the last one was sent.
    pub(super) sent: u64,
    pub(super) until: u64,
    pub(super) count: u64,
    /// Lost beats; otherwise in flight, refused or closing requests.
    pub(super) lost: bool,
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Evidence {
    /// In the order of sending, both.
    pub(super) known: Vec<Known>,
    pub(super) requests: Vec<Request>,
    /// When those were sent of which nothing is settled yet.
    pub(super) open: Vec<u64>,
    pub(super) guard: u64,
    /// By how much requests were seen to overtake each other before.
    pub(super) overtaking: u64,
    /// The session whose count began with it.
    pub(super) fresh: Option<u32>,
    /// Of what may have arrived before, not all is here.
    pub(super) base: u64,
}

impl Evidence {
    /// Whether these requests have arrived by `after`, or never do.
    pub(super) fn is_over(&self, request: &Request, after: u64) -> bool {
        request.until.saturating_add(self.guard) <= after
    }
}
