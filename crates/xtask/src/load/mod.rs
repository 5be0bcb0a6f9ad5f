//! `cargo xtask load`: appends and context reads of a release build over HTTP, under concurrent agents.
//!
//! The agents run on the machine that the daemon runs on and share its processors with it. Their texts are made,
//! not recorded. Times are from the first byte sent to the last byte received.

mod agent;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::daemon::{Daemon, built};
use crate::http::Client;
use crate::process::check_interrupted;

use agent::Agent;
use table::{Row, Times};

/// Messages of one append under measure, in turns of a call and its result.
const BATCH_TURNS: usize = 2;
/// Turns that are imported with one append.
const IMPORT_TURNS: usize = 500;
/// Turns that an agent of the mixed loop has behind it when it starts.
const EARLIER_TURNS: usize = 40;

/// What `cargo xtask load` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Agents that append at once
    #[arg(long, default_value_t = 32)]
    writers: usize,
    /// Agents that append a turn and read their context, in turns
    #[arg(long, default_value_t = 16)]
    agents: usize,
    /// Turns of the long trajectory
    #[arg(long, default_value_t = 10_000)]
    turns: usize,
    /// Budget of the contexts, in tokens
    #[arg(long, default_value_t = 8_000)]
    budget: u32,
    /// Measures this recapd instead of building one
    #[arg(long)]
    program: Option<PathBuf>,
    /// The daemon's configuration file; its defaults where it is left out
    #[arg(long)]
    config: Option<PathBuf>,
    /// Prints the rows as one JSON array
    #[arg(long)]
    json: bool,
}

/// Runs `cargo xtask load`.
///
/// # Errors
///
/// Fails when the daemon does, or refuses a request.
pub fn run(args: &Args) -> Result<()> {
    let program = args.program.clone().map_or_else(built, Ok)?;
    let mut daemon = Daemon::start_program(program, args.config.clone())?;
    let mut rows = Vec::new();
    let load = Load { args, url: daemon.url().to_owned() };
    rows.push(load.appends()?);
    load.import("long", args.turns)?;
    rows.extend(load.reads_of_one()?);
    rows.push(load.reads_of_many()?);
    rows.extend(load.loop_of("append a turn, read", "mixed", args.agents, EARLIER_TURNS)?);
    let long = format!("append a turn, read at {} turns", args.turns);
    rows.extend(load.loop_of(&long, "long", 1, 0)?);
    daemon.restart()?;
    rows.push(Load { args, url: daemon.url().to_owned() }.cold_read()?);
    drop(daemon);
    if args.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print!("{}", table::markdown(&rows));
    }
    Ok(())
}

/// The measurements of one daemon.
struct Load<'a> {
    args: &'a Args,
    url: String,
}

/// What one agent measured: usual requests, and those that began an epoch.
#[derive(Default)]
struct Measured {
    appends: Times,
    reads: Times,
    epochs: Times,
}

impl Load<'_> {
    fn appends(&self) -> Result<Row> {
        eprintln!("appending");
        let writers = self.args.writers;
        for n in 0..writers {
            self.create(&format!("writer-{n}"), n)?;
        }
        let (took, all) = self.at_once(writers, |n, client, until| {
            let mut agent = Agent::new(1_000 + n as u64);
            let path = format!("/v1/trajectories/writer-{n}/messages");
            let mut measured = Measured::default();
            while Instant::now() < until {
                let body = agent.turns(BATCH_TURNS);
                let sent = Instant::now();
                client.post(&path, &body)?;
                measured.appends.note(sent.elapsed());
            }
            Ok(measured)
        })?;
        let what = format!("append of {} messages", 2 * BATCH_TURNS);
        Ok(Row::new(what, writers, took, 2 * BATCH_TURNS, sum(all).appends))
    }

    fn reads_of_one(&self) -> Result<Vec<Row>> {
        let path = self.context_of("long");
        let mut rows = vec![self.first_read("first read of a line")?];
        for readers in [1, 8, 32] {
            eprintln!("reading with {readers}");
            let (took, all) = self.at_once(readers, |_, client, until| read_until(client, &path, until))?;
            let what = format!("read of one trajectory, {} turns", self.args.turns);
            rows.push(Row::new(what, readers, took, 0, sum(all).reads));
        }
        Ok(rows)
    }

    fn reads_of_many(&self) -> Result<Row> {
        let (readers, turns) = (32, 300);
        for n in 0..readers {
            self.import(&format!("short-{n}"), turns)?;
            Client::connect(&self.url)?.get(&self.context_of(&format!("short-{n}")))?;
        }
        eprintln!("reading {readers} trajectories");
        let (took, all) = self
            .at_once(readers, |n, client, until| read_until(client, &self.context_of(&format!("short-{n}")), until))?;
        Ok(Row::new(format!("read of its own trajectory, {turns} turns"), readers, took, 0, sum(all).reads))
    }

    /// Measures agents that append a turn and read their context, as agents do.
    fn loop_of(&self, what: &str, name: &str, agents: usize, earlier: usize) -> Result<Vec<Row>> {
        let id = |n: usize| if agents == 1 { name.to_owned() } else { format!("{name}-{n}") };
        if earlier > 0 {
            (0..agents).try_for_each(|n| self.import(&id(n), earlier))?;
        }
        eprintln!("{what}");
        let (took, all) = self.at_once(agents, |n, client, until| self.appends_and_reads(client, &id(n), n, until))?;
        let all = sum(all);
        Ok(vec![
            Row::new(format!("{what}: the append"), agents, took, 2, all.appends),
            Row::new(format!("{what}: the read"), agents, took, 0, all.reads),
            Row::new(format!("{what}: a read that begins an epoch"), agents, took, 0, all.epochs),
        ])
    }

    fn appends_and_reads(&self, client: &mut Client, id: &str, n: usize, until: Instant) -> Result<Measured> {
        let (append, context) = (format!("/v1/trajectories/{id}/messages"), self.context_of(id));
        let mut agent = Agent::new(5_000 + n as u64);
        let mut measured = Measured::default();
        let mut before = epoch_of(client.get(&context)?)?;
        while Instant::now() < until {
            let body = agent.turns(1);
            let sent = Instant::now();
            client.post(&append, &body)?;
            measured.appends.note(sent.elapsed());
            let sent = Instant::now();
            let answer = client.get(&context)?;
            let took = sent.elapsed();
            let epoch = epoch_of(answer)?;
            let times = if epoch == before { &mut measured.reads } else { &mut measured.epochs };
            times.note(took);
            before = epoch;
        }
        Ok(measured)
    }

    fn cold_read(&self) -> Result<Row> {
        self.first_read("first read after a restart")
    }

    fn first_read(&self, what: &str) -> Result<Row> {
        eprintln!("{what}");
        let mut client = Client::connect(&self.url)?;
        let mut times = Times::default();
        let sent = Instant::now();
        client.get(&self.context_of("long"))?;
        let took = sent.elapsed();
        times.note(took);
        Ok(Row::new(format!("{what}, {} turns", self.args.turns), 1, took, 0, times))
    }

    fn context_of(&self, id: &str) -> String {
        format!("/v1/trajectories/{id}/context?budget={}", self.args.budget)
    }

    fn create(&self, id: &str, n: usize) -> Result<Agent> {
        let mut client = Client::connect(&self.url)?;
        let mut agent = Agent::new(n as u64);
        client.post("/v1/trajectories", &format!(r#"{{"id":"{id}","model":"gpt-4o"}}"#))?;
        client.post(&format!("/v1/trajectories/{id}/messages"), &agent.opening())?;
        Ok(agent)
    }

    fn import(&self, id: &str, turns: usize) -> Result<()> {
        eprintln!("importing {turns} turns");
        let number = id.bytes().fold(9_000, |sum: usize, byte| sum * 31 % 1_000_003 + usize::from(byte));
        let mut agent = self.create(id, number)?;
        let mut client = Client::connect(&self.url)?;
        let mut left = turns;
        while left > 0 {
            check_interrupted()?;
            let now = left.min(IMPORT_TURNS);
            client.post(&format!("/v1/trajectories/{id}/messages"), &agent.turns(now))?;
            left -= now;
        }
        Ok(())
    }

    /// Runs `work` in as many threads, each with a connection of its own, until the time is over.
    fn at_once<T: Send>(
        &self,
        threads: usize,
        work: impl Fn(usize, &mut Client, Instant) -> Result<T> + Sync,
    ) -> Result<(Duration, Vec<T>)> {
        check_interrupted()?;
        let clients: Vec<Client> = (0..threads).map(|_| Client::connect(&self.url)).collect::<Result<_>>()?;
        let started = Instant::now();
        let until = started + Duration::from_secs(self.args.seconds);
        let work = &work;
        let all = std::thread::scope(|scope| {
            let spawned: Vec<_> = clients
                .into_iter()
                .enumerate()
                .map(|(n, mut client)| scope.spawn(move || work(n, &mut client, until)))
                .collect();
            spawned
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("an agent's thread failed"))))
                .collect::<Result<Vec<T>>>()
        })?;
        Ok((started.elapsed(), all))
    }
}

fn read_until(client: &mut Client, path: &str, until: Instant) -> Result<Measured> {
    let mut measured = Measured::default();
    while Instant::now() < until {
        let sent = Instant::now();
        client.get(path)?;
        measured.reads.note(sent.elapsed());
    }
    Ok(measured)
}

fn sum(all: Vec<Measured>) -> Measured {
    all.into_iter().fold(Measured::default(), |mut sum, one| {
        sum.appends.add(one.appends);
        sum.reads.add(one.reads);
        sum.epochs.add(one.epochs);
        sum
    })
}

/// Returns the number of the epoch that a context is of. In the messages the name could only stand with escaped quotes.
fn epoch_of(answer: &str) -> Result<u64> {
    let (_, after) = answer.rsplit_once(r#""epoch":"#).context("a context without its epoch")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().context("an epoch that is no number")
}
