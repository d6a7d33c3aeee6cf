//! What the operating system asks of a process that stays up.

use std::io;

use tokio::signal;

/// Something that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Hears what is asked from the moment it is made.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: signal::unix::Signal,
    interrupt: signal::unix::Signal,
    hang_up: signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        use signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> io::Result<Asked> {
        tokio::select! {
            _ = self.terminate.recv() => Ok(Asked::Stop),
            _ = self.interrupt.recv() => Ok(Asked::Stop),
            _ = self.hang_up.recv() => Ok(Asked::Reload),
        }
    }
}

/// Hears what is asked from the moment it is made.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> io::Result<Asked> {
        signal::ctrl_c().await?;
        Ok(Asked::Stop)
    }
}

impl Signals {
    /// Waits until the process is to end.
    pub(super) async fn stop(&mut self) -> io::Result<()> {
        while self.next().await? != Asked::Stop {}
        Ok(())
    }
}
