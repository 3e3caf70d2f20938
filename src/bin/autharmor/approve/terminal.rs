//! [`Screen`]: what the person sees. [`is_closed`]: whether anybody still can.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;

use autharmor::Secret;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// Where the person sees text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// Nowhere: text could disturb a file transfer.
    Off,
    /// On standard error, which is a terminal.
    Terminal,
    /// On standard output, which `pam_exec` passes on.
    Pam,
}

impl Screen {
    /// Returns the terminal, if there is one.
    pub(crate) fn of_terminal() -> Self {
        if io::stderr().is_terminal() {
            Self::Terminal
        } else {
            Self::Off
        }
    }

    /// Prints text. The text of others in it must be printable.
    pub(crate) fn say(self, text: &str) {
        // A person who cannot be told can still approve.
        let _ = match self {
            Self::Off => Ok(()),
            Self::Terminal => writeln!(io::stderr(), "{text}"),
            Self::Pam => writeln!(io::stdout(), "{text}"),
        };
    }

    /// Draws a QR code. Returns whether it can be seen.
    pub(crate) fn draw(self, code: &Secret) -> bool {
        let Ok(code) = QrCode::new(code.expose()) else {
            return false;
        };
        let mut renderer = code.render::<Dense1x2>();
        // On the dark background of a terminal.
        let renderer = renderer
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark);
        self.say(&renderer.build());
        self != Self::Off
    }
}

/// Returns whether the terminal, or whoever reads the output, is gone.
pub(crate) fn is_closed() -> bool {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    // An input that has ended means nothing, unless it is a terminal.
    let input = stdin.is_terminal().then(|| stdin.as_fd());
    let all = [stdout.as_fd(), stderr.as_fd()].into_iter().chain(input);
    // What is closed is reported in any case.
    let mut all: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::empty())).collect();
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR;
    poll(&mut all, PollTimeout::ZERO).is_ok()
        && all
            .iter()
            .any(|fd| fd.revents().is_some_and(|events| events.intersects(gone)))
}
