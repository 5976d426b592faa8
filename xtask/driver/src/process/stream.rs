//! Collects what a child writes to one of its streams, and waits for more.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::check;
use crate::clock::{Deadline, PATIENCE};

/// The bytes read so far, filled by a thread.
#[derive(Clone, Default)]
pub struct Stream(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    ended: bool,
}

impl Stream {
    /// Reads `source` to its end on a thread of its own.
    pub fn drain(&self, mut source: impl Read + Send + 'static) {
        let stream = self.clone();
        std::thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = source.read(&mut chunk) {
                stream.lock().bytes.extend_from_slice(&chunk[..n]);
                stream.0.1.notify_all();
            }
            stream.close();
        });
    }

    /// Nothing more will come.
    pub fn close(&self) {
        self.lock().ended = true;
        self.0.1.notify_all();
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.lock().bytes.clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Waits until the text matches `pattern` from its beginning; gives the text.
    pub fn wait_for(&self, pattern: &str) -> Result<String> {
        let pattern = check::beginning(pattern)?;
        self.wait_until(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            pattern.is_match(&text).then(|| text.into_owned())
        })
    }

    /// Waits until `look` finds in the bytes what it looks for.
    pub fn wait_until<T>(&self, mut look: impl FnMut(&[u8]) -> Option<T>) -> Result<T> {
        let deadline = Deadline::after(PATIENCE);
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state.bytes) {
                return Ok(found);
            }
            if state.ended {
                bail!("the stream ended");
            }
            let Some(left) = deadline.left() else { bail!("the wait was too long") };
            let woken = self.0.1.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for what stands behind the first `before`, up to the next `behind`.
    pub fn between(&self, before: &str, behind: &str) -> Result<String> {
        let found = self.wait_until(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            Some(text.split_once(before)?.1.split_once(behind)?.0.to_owned())
        });
        found.with_context(|| self.text())
    }

    /// Waits for the line that begins at byte `*from`, which is moved behind it.
    pub fn line(&self, from: &mut usize) -> Result<String> {
        let line = self.wait_until(|bytes| {
            let rest = bytes.get(*from..)?;
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            Some(String::from_utf8_lossy(&rest[..end]).into_owned())
        })?;
        *from += line.len() + 1;
        Ok(line)
    }

    /// Waits for the end of the stream, for so long at most.
    pub fn wait_for_end(&self, wait: Duration) {
        let ended = self.0.1.wait_timeout_while(self.lock(), wait, |state| !state.ended);
        drop(ended);
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
