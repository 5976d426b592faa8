//! For tests: a kernel that refuses a call. `seccomp(2)`, `bpf(4)`; `struct seccomp_data`.

use std::io;

use super::counted;

/// From now on, for the calling thread and those that it starts, the system call `number` fails
/// with `errno`; with `option` (level and name), a `setsockopt` or `getsockopt` of that alone.
pub(crate) fn refuse(
    number: libc::c_long,
    option: Option<(libc::c_int, libc::c_int)>,
    errno: libc::c_int,
) -> io::Result<()> {
    // The low half of argument `i`, which is 64 bits long.
    let argument = |i: u32| 16 + 8 * i + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut wanted = vec![(0, number as u32)];
    if let Some((level, name)) = option {
        wanted.extend([(argument(1), level as u32), (argument(2), name as u32)]);
    }
    let statement = |code: u32, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = Vec::new();
    for (i, &(offset, value)) in wanted.iter().enumerate() {
        program.push(statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset));
        // Unequal: past the rest and the refusal.
        let jf = (2 * (wanted.len() - 1 - i) + 1) as u8;
        let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(libc::sock_filter { jf, ..statement(code, value) });
    }
    program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | errno as u32));
    program.push(statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: it takes integers alone.
    counted(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the filter and the program that it points to live until the call has copied them.
    counted(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const filter) })?;
    Ok(())
}
