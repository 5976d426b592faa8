//! What must hold for any text given to `--allow` or `--deny`: shared by the fuzz target and the
//! server's test that runs it over the seeds.

use std::net::IpAddr;

use udp_server::policy::{Access, Block, Lists};

/// A block is read or refused in one line, and holds the address that it was typed with.
pub(crate) fn cidr(data: &[u8]) {
    // Every line of a file is taken or said.
    let _ = Lists::parse("f", data);
    let Ok(typed) = str::from_utf8(data) else { return };
    let block = match typed.parse::<Block>() {
        Ok(block) => block,
        Err(error) => return assert!(!error.contains('\n')),
    };
    let access = |allow, deny| Access::new(&Lists { allow, deny });
    let allowed = access(vec![block], Vec::new());
    let denied = access(Vec::new(), vec![block]);
    let both = access(vec![block], vec![block]);
    let (address, bits) = typed.split_once('/').unwrap_or((typed, "128"));
    let Ok(address) = address.parse::<IpAddr>() else { return };
    let mapped = address != address.to_canonical();
    // A block that reaches beyond the mapped addresses is an IPv6 block, which holds no IPv4.
    let inside = !mapped || bits.parse::<u8>().is_ok_and(|bits| bits >= 96);
    let address = address.to_canonical();
    assert_eq!(allowed.admits(address), inside);
    assert_eq!(denied.admits(address), !inside);
    assert!(!both.admits(address));
}
