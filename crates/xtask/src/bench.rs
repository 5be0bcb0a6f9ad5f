//! `cargo xtask bench`: the benchmarks, each for a bounded time.

use anyhow::Result;

use crate::process::Run;

/// What `cargo xtask bench` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Most seconds that one benchmark may sample
    #[arg(long, default_value_t = 2.0)]
    max_time: f64,
    /// Passed to `cargo bench`: `-p PACKAGE`, `--bench NAME`, a filter
    #[arg(last = true)]
    cargo_args: Vec<String>,
}

/// Runs `cargo xtask bench`.
///
/// # Errors
///
/// Fails when a benchmark does.
pub fn run(args: &Args) -> Result<()> {
    let mut run = Run::cargo(["bench", "--workspace", "--features", "recap-core/testing", "--benches"])?;
    for arg in &args.cargo_args {
        run = run.arg(arg);
    }
    // divan reads its options from the environment too, which test programs of other harnesses ignore.
    run.env("DIVAN_MAX_TIME", args.max_time.to_string()).show()
}
