//! The least HTTP/1.1 client that measures without getting in the way: one kept-alive connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long an answer may take where nothing else is said.
const PATIENCE: Duration = Duration::from_mins(1);

/// One connection to a server.
pub struct Client {
    stream: TcpStream,
    host: String,
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Client {
    /// Connects to the server at `http://host:port`.
    ///
    /// # Errors
    ///
    /// Fails when nothing listens there.
    pub fn connect(url: &str) -> Result<Self> {
        Self::patient(url, PATIENCE)
    }

    /// Connects to a server that may take longer for an answer.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn patient(url: &str, patience: Duration) -> Result<Self> {
        let host = url.strip_prefix("http://").context("not an http:// URL")?.trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        Ok(Self { stream, host, sent: Vec::new(), got: Vec::new() })
    }

    /// Sends a JSON body and returns the answer's.
    ///
    /// # Errors
    ///
    /// Fails for any status but 2xx, with the answer.
    pub fn post(&mut self, path: &str, body: &str) -> Result<&str> {
        self.sent.clear();
        let (host, length) = (&self.host, body.len());
        write!(
            self.sent,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        self.exchange()
    }

    /// Reads a resource.
    ///
    /// # Errors
    ///
    /// Fails for any status but 2xx, with the answer.
    pub fn get(&mut self, path: &str) -> Result<&str> {
        self.sent.clear();
        write!(self.sent, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host)?;
        self.exchange()
    }

    fn exchange(&mut self) -> Result<&str> {
        self.stream.write_all(&self.sent)?;
        self.got.clear();
        let (head, body) = loop {
            self.receive()?;
            if let Some(end) = self.got.windows(4).position(|four| four == b"\r\n\r\n") {
                break (end, end + 4);
            }
        };
        let (ok, length) = read_head(self.got.get(..head).unwrap_or_default())?;
        while self.got.len() < body + length {
            self.receive()?;
        }
        let text = std::str::from_utf8(self.got.get(body..).unwrap_or_default()).context("an answer is not UTF-8")?;
        if !ok {
            bail!("the server refused: {text}");
        }
        Ok(text)
    }

    fn receive(&mut self) -> Result<()> {
        let old = self.got.len();
        self.got.resize(old + 65_536, 0);
        let spare = self.got.get_mut(old..).unwrap_or_default();
        let read = self.stream.read(spare).context("no answer")?;
        self.got.truncate(old + read);
        if read == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

/// Returns whether the status is 2xx, and the body's length.
fn read_head(head: &[u8]) -> Result<(bool, usize)> {
    let head = std::str::from_utf8(head).context("an answer's head is not UTF-8")?;
    let status = head.split(' ').nth(1).context("an answer without a status")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without its length")?;
    Ok((status.starts_with('2'), length.1.trim().parse().context("an answer's length is no number")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let head = b"HTTP/1.1 200 OK\r\nx: y\r\nContent-Length: 12";
        assert_eq!(read_head(head).unwrap(), (true, 12));
        assert!(!read_head(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0").unwrap().0);
        assert!(read_head(b"HTTP/1.1 200 OK").is_err());
    }
}
