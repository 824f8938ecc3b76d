//! Ports for processes that are started again and again.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;
use rand::RngExt;

/// Ports to draw from: below those that Linux gives to outgoing connections, one of which might take
/// the port of a process that is down.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A port of this machine on which nobody listens.
///
/// # Errors
///
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(free_ports(1)?[0])
}

/// `count` different ports of this machine on which nobody listens.
///
/// # Errors
///
/// If fewer were found.
pub fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut ports = Vec::with_capacity(count);
    for _ in PORTS {
        if ports.len() == count {
            return Ok(ports);
        }
        let port = rand::rng().random_range(PORTS);
        if !ports.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            ports.push(port);
        }
    }
    bail!(
        "there are no {count} free ports among {} to {}",
        PORTS.start,
        PORTS.end
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let ports = free_ports(20).unwrap();
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 20);
    }
}
