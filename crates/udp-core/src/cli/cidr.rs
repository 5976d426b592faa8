//! A block of addresses, as options and files name it (CIDR, RFC 4632): `10.0.0.0/8`,
//! `2001:db8::/32`, or one address alone. An IPv4-mapped block is an IPv4 one.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block(IpNet);

impl Block {
    /// Its first and its last address.
    pub fn range(&self) -> (IpAddr, IpAddr) {
        (self.0.network(), self.0.broadcast())
    }

    /// Whether it holds `ip`. Mapped addresses must have been turned into IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip)
    }
}

impl FromStr for Block {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected an address or ADDRESS/BITS, such as 192.0.2.0/24".to_string();
        let net = match text.parse::<IpNet>() {
            Ok(net) => net,
            Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| wrong())?),
        };
        Ok(Block(canonical(net.trunc())))
    }
}

/// An IPv4-mapped block (`::ffff:0:0/96` and what is within) as the IPv4 block it is.
fn canonical(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let Some(bits) = v6.prefix_len().checked_sub(96)
        && let Some(v4) = v6.network().to_ipv4_mapped()
        && let Ok(v4) = Ipv4Net::new(v4, bits)
    {
        return IpNet::V4(v4);
    }
    net
}
