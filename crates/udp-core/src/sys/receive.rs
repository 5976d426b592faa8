//! `recvmmsg(2)`: many datagrams in one call, each into its own part of one buffer; or the same by
//! `recvmsg(2)`, a datagram a call, where a kernel or a filter has not the other.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{CONTROL_IN, NAME, counted};

/// What one call needs beside the caller's buffer, allocated once and used again.
pub(crate) struct ReceiveCall {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<[u8; NAME]>,
    controls: Vec<[u8; CONTROL_IN]>,
    /// Where in the caller's buffer each datagram goes.
    starts: Vec<usize>,
    /// The end of the last part of the caller's buffer that may be written.
    end: usize,
    /// Headers from here on are as [`prepare`](Self::prepare) left them.
    used: usize,
    /// Whether `recvmsg(2)` is used.
    each: bool,
    /// What ended the last batch of such calls.
    failed: Option<io::Error>,
}

// SAFETY: the raw pointers in `headers` and `parts` lead into the vectors beside them, which move
// along, and into a buffer that is borrowed anew for each call and never reached otherwise.
unsafe impl Send for ReceiveCall {}

/// One datagram as the kernel handed it over.
pub(crate) struct Taken<'a> {
    /// Bytes written at the start of its part of the buffer.
    pub(crate) len: usize,
    /// The sender's address, empty when a shutdown woke the call and there is no datagram.
    pub(crate) name: &'a [u8],
    /// Control messages.
    pub(crate) control: &'a [u8],
    /// The datagram was longer than its part of the buffer.
    pub(crate) cut: bool,
    /// Not every control message found room.
    pub(crate) control_cut: bool,
}

impl ReceiveCall {
    /// For calls that take up to as many datagrams as there are `starts`: number `i` goes to
    /// `length` bytes of the caller's buffer from `starts[i]` on.
    pub(crate) fn new(starts: Vec<usize>, length: usize) -> Self {
        let header = libc::mmsghdr {
            // SAFETY: a message header is integers and pointers, for which zero is a valid value.
            msg_hdr: unsafe { std::mem::zeroed() },
            msg_len: 0,
        };
        let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: length };
        let messages = starts.len();
        ReceiveCall {
            headers: vec![header; messages],
            parts: vec![part; messages],
            names: vec![[0; NAME]; messages],
            controls: vec![[0; CONTROL_IN]; messages],
            end: starts.iter().max().map_or(0, |last| last.saturating_add(length)),
            starts,
            used: messages,
            each: false,
            failed: None,
        }
    }

    /// The same, a datagram a system call.
    pub(crate) fn one_by_one(mut self) -> Self {
        self.each = true;
        self
    }

    /// Whether it is a datagram a system call.
    pub(crate) fn is_one_by_one(&self) -> bool {
        self.each
    }

    /// Takes what is there into `memory`. Unless `wait` is false it waits for the first datagram,
    /// as long as SO_RCVTIMEO says; for the others never. How many came; zero never.
    ///
    /// A buffer that is too short for what [`new`](Self::new) was told is an error.
    pub(crate) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        memory: &mut [u8],
        wait: bool,
    ) -> io::Result<usize> {
        if memory.len() < self.end {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.prepare();
        let base = memory.as_mut_ptr();
        for (part, start) in self.parts.iter_mut().zip(&self.starts) {
            part.iov_base = base.wrapping_add(*start).cast();
        }
        if self.each {
            return self.receive_each(socket, wait);
        }
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: the headers point at live, writable vectors of this struct of the lengths given,
        // and through `parts` at ranges of `memory` that end at `end` at the latest, which was
        // checked to lie within; `memory` is borrowed exclusively during the call.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        let taken = counted(result)?;
        self.used = taken;
        Ok(taken)
    }

    /// The call for no datagram: it takes none, and fails if the call is refused, or with an error
    /// that waits on the socket.
    pub(crate) fn probe(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        let none = std::ptr::null_mut();
        // SAFETY: of no headers, none is read or written.
        let result = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, 0, flags as _, none) };
        counted(result).map(drop)
    }

    /// One call after the other until one would wait; only the first one may.
    fn receive_each(&mut self, socket: BorrowedFd<'_>, wait: bool) -> io::Result<usize> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        let mut wait = if wait { 0 } else { libc::MSG_DONTWAIT };
        for header in &mut self.headers {
            // SAFETY: as in `receive`, for one header; `memory` is still borrowed by the caller.
            let result =
                unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header.msg_hdr, wait) };
            self.used += 1;
            wait = libc::MSG_DONTWAIT;
            match usize::try_from(result) {
                Ok(len) => header.msg_len = u32::try_from(len).unwrap_or(u32::MAX),
                Err(_) => {
                    let failed = io::Error::last_os_error();
                    let taken = self.used - 1;
                    if taken == 0 {
                        return Err(failed);
                    }
                    self.failed = Some(failed).filter(|e| e.kind() != io::ErrorKind::WouldBlock);
                    return Ok(taken);
                }
            }
        }
        Ok(self.used)
    }

    /// Datagram `i` of the last call.
    pub(crate) fn taken(&self, i: usize) -> Taken<'_> {
        let header = &self.headers[i];
        let name = usize::try_from(header.msg_hdr.msg_namelen).unwrap_or(0).min(NAME);
        #[allow(clippy::unnecessary_cast, reason = "a length of another width on some targets")]
        let control = (header.msg_hdr.msg_controllen as usize).min(CONTROL_IN);
        Taken {
            len: usize::try_from(header.msg_len).unwrap_or(0),
            name: &self.names[i][..name],
            control: &self.controls[i][..control],
            cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            control_cut: header.msg_hdr.msg_flags & libc::MSG_CTRUNC != 0,
        }
    }

    /// Makes the headers that the last call wrote to say again what room there is.
    fn prepare(&mut self) {
        let parts = self.parts.as_mut_ptr();
        let names = self.names.as_mut_ptr();
        let controls = self.controls.as_mut_ptr();
        for (i, header) in self.headers.iter_mut().enumerate().take(self.used) {
            let header = &mut header.msg_hdr;
            header.msg_name = names.wrapping_add(i).cast();
            header.msg_namelen = NAME as libc::socklen_t;
            header.msg_iov = parts.wrapping_add(i);
            header.msg_iovlen = 1;
            header.msg_control = controls.wrapping_add(i).cast();
            header.msg_controllen = CONTROL_IN as _;
            header.msg_flags = 0;
        }
        self.used = 0;
    }
}
