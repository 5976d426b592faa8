//! Socket options by number. `getsockopt(2)`, `ip(7)`, `ipv6(7)`, `udp(7)`, `socket(7)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::counted;

/// Sets an option whose value is an `int`.
pub(crate) fn set(
    socket: BorrowedFd<'_>,
    (level, name): (libc::c_int, libc::c_int),
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value is a live `int`, and its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    counted(result).map(drop)
}

/// Reads an option whose value is an `int`.
pub(crate) fn get(
    socket: BorrowedFd<'_>,
    (level, name): (libc::c_int, libc::c_int),
) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: value and size are live, writable, and of the size given.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut size)
    };
    counted(result).map(|_| value)
}

/// Datagrams that the kernel dropped because this socket's receive queue was full, since the
/// socket was made, modulo 2^32 (SO_MEMINFO, `SK_MEMINFO_DROPS`); none where the kernel is older.
pub(crate) fn dropped(socket: BorrowedFd<'_>) -> Option<u32> {
    const DROPS: usize = 8;
    let mut values = [0u32; DROPS + 1];
    let mut size = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the array and the size are live, writable, and of the size given.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut size,
        )
    };
    (result == 0 && size as usize >= size_of_val(&values)).then_some(values[DROPS])
}
