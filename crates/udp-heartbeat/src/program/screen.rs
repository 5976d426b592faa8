//! Starts and ends the live screen (`--live`). Without the feature `live` there is none.

#[cfg(feature = "live")]
mod with {
    use std::io;
    use std::sync::Arc;

    use udp_core::cli::{Console, Failure};
    use udp_core::error::describe;

    use crate::args::Args;
    use crate::live::{Fed, Feed, Live, Look, feed, has_unicode, obstacle};
    use crate::run::Prober;

    /// How it is to look, if it is wanted.
    pub(crate) type Wanted = Option<Look>;

    /// What the arguments say.
    ///
    /// # Errors
    /// A terminal that cannot show it.
    pub(crate) fn wanted(args: &Args) -> Result<Wanted, Failure> {
        if !args.live {
            return Ok(None);
        }
        if let Some(obstacle) = obstacle() {
            return Err(Failure::usage(obstacle));
        }
        let ascii = args.ascii || !has_unicode();
        Ok(Some(Look { ascii, color: args.common.color.on(&io::stdout()) }))
    }

    /// The screen of a run.
    pub(crate) struct Screen {
        waiting: Option<(Fed, Look)>,
        shown: Option<Live>,
    }

    impl Screen {
        pub(crate) fn new(wanted: Wanted) -> (Screen, Option<Feed>) {
            let Some(look) = wanted else { return (Screen { waiting: None, shown: None }, None) };
            let (feed, fed) = feed();
            (Screen { waiting: Some((fed, look)), shown: None }, Some(feed))
        }

        /// Shows it from now on.
        pub(crate) fn show(
            &mut self,
            prober: &Arc<Prober>,
            console: &Console,
        ) -> Result<(), Failure> {
            if let Some((fed, look)) = self.waiting.take() {
                let live = Live::start(Arc::downgrade(prober), fed, look, console);
                let failed = |error| Failure::local(format!("cannot show: {}", describe(&error)));
                self.shown = Some(live.map_err(failed)?);
            }
            Ok(())
        }

        /// Puts the terminal back.
        pub(crate) fn leave(&mut self) {
            if let Some(live) = self.shown.take() {
                live.leave();
            }
        }
    }
}

#[cfg(not(feature = "live"))]
mod without {
    use std::sync::Arc;

    use udp_core::cli::{Console, Failure};

    use crate::args::Args;
    use crate::probe::event::Nobody;
    use crate::run::Prober;

    pub(crate) type Wanted = Option<std::convert::Infallible>;

    pub(crate) fn wanted(_: &Args) -> Result<Wanted, Failure> {
        Ok(None)
    }

    pub(crate) struct Screen;

    impl Screen {
        pub(crate) fn new(_: Wanted) -> (Screen, Nobody) {
            (Screen, Nobody)
        }

        pub(crate) fn show(&mut self, _: &Arc<Prober>, _: &Console) -> Result<(), Failure> {
            Ok(())
        }

        pub(crate) fn leave(&mut self) {}
    }
}

#[cfg(feature = "live")]
pub(crate) use with::{Screen, Wanted, wanted};
#[cfg(not(feature = "live"))]
pub(crate) use without::{Screen, Wanted, wanted};
