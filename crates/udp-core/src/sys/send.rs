//! `sendmmsg(2)`: many messages in one call, each gathered from several pieces; or the same by
//! `sendmsg(2)`, a message a call, where a kernel or a filter has not the other.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{CONTROL_OUT, NAME, counted};

/// What one call needs beside the callers' bytes, allocated once and used again.
pub(crate) struct SendCall {
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
    spans: Vec<Span>,
    names: Vec<[u8; NAME]>,
    controls: Vec<[u8; CONTROL_OUT]>,
    /// Whether `sendmsg(2)` is used.
    each: bool,
    /// Whether `sendmmsg(2)` has ever sent anything.
    worked: bool,
}

// SAFETY: the raw pointers in `headers` lead into the vectors beside them, which move along, and
// those in `pieces` are used only while a `Filling` holds the borrow they were made from.
unsafe impl Send for SendCall {}

/// Where a message's parts are.
struct Span {
    first: usize,
    name: usize,
    control: usize,
}

impl SendCall {
    /// Room for calls of up to `messages` messages of up to `pieces` pieces in all.
    pub(crate) fn new(messages: usize, pieces: usize) -> Self {
        SendCall {
            headers: Vec::with_capacity(messages),
            pieces: Vec::with_capacity(pieces),
            spans: Vec::with_capacity(messages),
            names: Vec::with_capacity(messages),
            controls: Vec::with_capacity(messages),
            each: false,
            worked: false,
        }
    }

    /// Whether it is a message a system call.
    pub(crate) fn is_one_by_one(&self) -> bool {
        self.each
    }

    /// Starts an empty call, whose bytes must live until it is over.
    pub(crate) fn fill<'bytes>(&mut self) -> Filling<'_, 'bytes> {
        self.headers.clear();
        self.pieces.clear();
        self.spans.clear();
        self.names.clear();
        self.controls.clear();
        Filling { call: self, bytes: PhantomData }
    }
}

/// A call being filled with messages.
pub(crate) struct Filling<'call, 'bytes> {
    call: &'call mut SendCall,
    bytes: PhantomData<&'bytes [u8]>,
}

impl<'call, 'bytes> Filling<'call, 'bytes> {
    /// Starts the next message: to the socket address `name` (empty on a connected socket), with
    /// these control messages. Its bytes follow by [`piece`](Self::piece).
    pub(crate) fn message(
        &mut self,
        name: &[u8],
        control: impl FnOnce(&mut [u8; CONTROL_OUT]) -> usize,
    ) {
        let mut to = [0; NAME];
        to[..name.len()].copy_from_slice(name);
        let mut messages = [0; CONTROL_OUT];
        let used = control(&mut messages).min(CONTROL_OUT);
        self.call.spans.push(Span {
            first: self.call.pieces.len(),
            name: name.len(),
            control: used,
        });
        self.call.names.push(to);
        self.call.controls.push(messages);
    }

    /// Adds bytes to the message started last.
    pub(crate) fn piece(&mut self, bytes: &'bytes [u8]) {
        self.call
            .pieces
            .push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
    }

    /// Ends the filling.
    pub(crate) fn ready(self) -> Ready<'call, 'bytes> {
        let call = self.call;
        let (pieces, names) = (call.pieces.as_mut_ptr(), call.names.as_mut_ptr());
        let controls = call.controls.as_mut_ptr();
        for (i, span) in call.spans.iter().enumerate() {
            let end = call.spans.get(i + 1).map_or(call.pieces.len(), |next| next.first);
            let mut header = libc::mmsghdr {
                // SAFETY: a message header is integers and pointers, for which zero is valid.
                msg_hdr: unsafe { std::mem::zeroed() },
                msg_len: 0,
            };
            if span.name > 0 {
                header.msg_hdr.msg_name = names.wrapping_add(i).cast();
                header.msg_hdr.msg_namelen = span.name as libc::socklen_t;
            }
            header.msg_hdr.msg_iov = pieces.wrapping_add(span.first);
            header.msg_hdr.msg_iovlen = (end - span.first) as _;
            if span.control > 0 {
                header.msg_hdr.msg_control = controls.wrapping_add(i).cast();
                header.msg_hdr.msg_controllen = span.control as _;
            }
            call.headers.push(header);
        }
        Ready { call, bytes: PhantomData }
    }
}

/// A filled call, to be made as often as it takes to bring every message out.
pub(crate) struct Ready<'call, 'bytes> {
    call: &'call mut SendCall,
    bytes: PhantomData<&'bytes [u8]>,
}

impl Ready<'_, '_> {
    /// From now on, also in later calls, whether it is a message a system call.
    pub(crate) fn set_one_by_one(&mut self, each: bool) {
        self.call.each = each;
    }

    /// See [`SendCall::is_one_by_one`].
    pub(crate) fn is_one_by_one(&self) -> bool {
        self.call.each
    }

    /// Whether the call for many has worked: then this system does not refuse it.
    pub(crate) fn has_worked(&self) -> bool {
        self.call.worked
    }

    /// Sends the messages from number `from` on, without waiting. How many went out before one
    /// failed; the failure itself if that was the first.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, from: usize) -> io::Result<usize> {
        let headers = &mut self.call.headers[from..];
        if self.call.each {
            let Some(header) = headers.first() else { return Ok(0) };
            // SAFETY: as below, for the first of the headers.
            let result = unsafe {
                libc::sendmsg(socket.as_raw_fd(), &raw const header.msg_hdr, libc::MSG_DONTWAIT)
            };
            return usize::try_from(result).map(|_| 1).map_err(|_| io::Error::last_os_error());
        }
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: the headers point at the names, controls and pieces of the same struct, all
        // filled and not changed since `ready`; the pieces point at bytes that outlive `self`; the
        // kernel writes nothing but each header's `msg_len`.
        let result = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _)
        };
        self.call.worked |= result > 0;
        counted(result)
    }
}
