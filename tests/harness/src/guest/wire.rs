//! What a guest's network cards are connected to, and how the machine reaches its sshd.
//!
//! A guest of its own has one card behind QEMU's user-mode network, which lets nothing out and only
//! SSH in, on a port of the machine's loopback. A guest of a lab has a tap on each of the lab's
//! bridges, with the addresses a host of its number would have.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::identity::Card;
use crate::network::{self, NetworkError, host_address};

const SSH_PORT: u16 = 22;

/// Where QEMU's user-mode network expects its only guest.
const USER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

#[derive(Debug, Clone)]
pub(super) enum Wire {
    /// QEMU's user-mode network.
    User,
    /// The bridges of a lab.
    Lab {
        /// Its network namespace.
        namespace: PathBuf,
        bridges: u8,
        /// Number in the lab.
        index: u8,
    },
}

impl Wire {
    pub(super) fn cards(&self) -> Vec<Card> {
        match self {
            Wire::User => vec![Card {
                mac: "02:49:4e:47:ff:01".into(),
                address: IpAddr::V4(USER_ADDRESS),
            }],
            Wire::Lab { bridges, index, .. } => (0..*bridges)
                .map(|bridge| Card {
                    mac: network::mac(bridge, *index),
                    address: host_address(bridge, *index),
                })
                .collect(),
        }
    }

    /// Where sshd will be reachable when the guest is started now.
    pub(super) fn choose_ssh_address(&self) -> std::io::Result<SocketAddr> {
        match self {
            // Free now; should another program take it first, QEMU says so and does not start.
            Wire::User => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr(),
            Wire::Lab { index, .. } => Ok(SocketAddr::new(host_address(0, *index), SSH_PORT)),
        }
    }

    /// QEMU's arguments.
    pub(super) fn arguments(&self, ssh: SocketAddr) -> Vec<String> {
        let mut arguments = Vec::new();
        for (number, card) in self.cards().iter().enumerate() {
            let backend = match self {
                Wire::User => format!(
                    "user,id=net{number},restrict=on,ipv6=off,\
                     hostfwd=tcp:{ssh}-{USER_ADDRESS}:{SSH_PORT}"
                ),
                // Made by QEMU in the lab's namespace, and gone with QEMU.
                Wire::Lab { index, .. } => format!(
                    "tap,id=net{number},ifname={},script=no,downscript=no",
                    network::cable(number as u8, *index)
                ),
            };
            let mac = &card.mac;
            let card =
                format!("virtio-net-pci,id=card{number},netdev=net{number},mac={mac},romfile=");
            arguments.extend(["-netdev".into(), backend, "-device".into(), card]);
        }
        arguments
    }

    /// Makes `command` run where the guest is reachable.
    pub(super) fn enter(&self, command: &mut Command) -> Result<(), NetworkError> {
        match self {
            Wire::User => Ok(()),
            Wire::Lab { namespace, .. } => network::enter(namespace, command),
        }
    }

    /// Connects the taps of a QEMU that runs to their bridges.
    pub(super) fn connect(&self) -> Result<(), NetworkError> {
        match self {
            Wire::User => Ok(()),
            Wire::Lab {
                namespace,
                bridges,
                index,
            } => network::connect_taps(namespace, *bridges, *index),
        }
    }

    /// A connection to the guest's sshd.
    pub(super) fn open(&self, ssh: SocketAddr) -> Result<std::io::Result<TcpStream>, NetworkError> {
        let connect = || TcpStream::connect_timeout(&ssh, Duration::from_millis(500));
        match self {
            Wire::User => Ok(connect()),
            Wire::Lab { namespace, .. } => network::inside(namespace, connect),
        }
    }
}
