//! The socket of the control: a loopback address, or a path in the file system.

use super::super::StartFault;
use super::super::admin::{Admin, Caught};
use super::super::files::ADMIN;
use super::super::listen::{Bounds, Connections, accept, asked};
use crate::config::ControlAt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// A bound socket.
pub enum Bound {
    /// An address.
    Loopback(TcpListener, SocketAddr),
    /// A path.
    Socket(UnixListener, Socket),
}

impl Bound {
    /// Where it is, if at an address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Loopback(_, address) => Some(*address),
            Self::Socket(..) => None,
        }
    }
}

/// The file of a socket, removed with its value.
pub struct Socket {
    path: PathBuf,
    /// Whose file it is: ours.
    owner: u32,
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds the socket.
///
/// # Errors
/// What cannot be had.
pub async fn bind(at: &ControlAt) -> Result<Bound, StartFault> {
    match at {
        ControlAt::Loopback(address) => {
            let fault = |error| StartFault::Listen { address: *address, error };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            let address = listener.local_addr().map_err(fault)?;
            Ok(Bound::Loopback(listener, address))
        }
        ControlAt::Socket(path) => {
            let fault = |error| StartFault::Socket { path: path.clone(), error };
            unused(path).await.map_err(fault)?;
            let listener = UnixListener::bind(path).map_err(fault)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(fault)?;
            let owner = fs::metadata(path).map_err(fault)?.uid();
            Ok(Bound::Socket(listener, Socket { path: path.clone(), owner }))
        }
    }
}

/// Removes the socket of a process that has ended.
async fn unused(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(there) if !there.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_) => fs::remove_file(path),
        },
    }
}

/// Serves what comes, until `down` says true.
pub async fn serve(bound: Bound, service: Caught<Admin>, down: watch::Receiver<bool>) {
    let connections = Connections::new(Bounds::usual(ADMIN), down.clone(), TaskTracker::new());
    match bound {
        Bound::Loopback(listener, _) => {
            let serve = |stream, peer| {
                let service = service.clone();
                connections.serve((stream, peer), None, &[], |_| service);
            };
            accept(listener, down, serve).await;
        }
        Bound::Socket(listener, socket) => {
            let mut down = down;
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) if is_ours(&stream, socket.owner) => {
                            connections.serve_http1(stream, service.clone());
                        }
                        Ok(_) => tracing::warn!("another user's program at the control socket is turned away"),
                        Err(error) => {
                            tracing::warn!(%error, "cannot accept a connection");
                            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        }
                    },
                    () = asked(&mut down) => break,
                }
            }
        }
    }
    connections.drain().await;
}

/// Whether the other end is a program of our own user's, or of root's.
fn is_ours(stream: &UnixStream, owner: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_ours_alone_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let at = ControlAt::Socket(folder.path().join("control.sock"));
        let path = folder.path().join("control.sock");
        let bound = bind(&at).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bind(&at).await.is_err(), "another process serves it");
        drop(bound);
        assert!(!path.exists());
        // What a process that was killed leaves is taken over.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(bind(&at).await.unwrap());
        fs::write(&path, "a file").unwrap();
        assert!(bind(&at).await.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    }
}
