//! The checks of the soak, and the numbers that they are based on.

use crate::resources::{KernelResources, Resources};
use crate::service::ServiceReport;
use crate::tally::Tally;

/// Prints checks and counts those that failed.
#[derive(Default)]
pub struct Checks {
    failures: usize,
}

impl Checks {
    pub fn all_passed(&self) -> bool {
        self.failures == 0
    }

    pub fn check(&mut self, passed: bool, what: &str) {
        println!("  [{}] {what}", if passed { "ok" } else { "FAILED" });
        self.failures += usize::from(!passed);
    }
}

/// What was measured in a soak.
pub struct Measurements {
    pub threads: usize,
    pub tally: Tally,
    pub report: ServiceReport,
    pub starts: u64,
    pub attacks: u64,
    pub successful_attacks: u64,
    pub lookups: u64,
    pub contradictions: u64,
    pub panics: u64,
    /// Calling threads that ended with a panic.
    pub crashed: u64,
    pub seconds: f64,
    /// How many of 100 reads after the last fault had a result.
    pub recovered: u64,
    pub before: Resources,
    pub warm: Resources,
    pub peak: Option<KernelResources>,
    pub end: Resources,
    /// After the clients were dropped.
    pub after: Resources,
}

/// A connection with its TLS session and buffers takes less than this. A
/// connection more is not a leak.
const CONNECTION: usize = 80 << 10;
/// How much tables may still grow. In a million calls that is less than one byte
/// for ten calls.
const GROWTH: usize = 64 << 10;
/// How much may be left after the clients: tables of the process that are set up
/// once.
const REMAINDER: usize = 64 << 10;
/// The allocator keeps freed memory, and keeps more of it after many threads.
const RSS_GROWTH_KIB: usize = 16 << 10;

pub fn check_all(measured: &Measurements, checks: &mut Checks) {
    print_faults(measured);
    measured.tally.print();
    println!("\nChecks of the soak:");
    check_calls(measured, checks);
    check_sign_ins(measured, checks);
    check_starts(measured, checks);
    check_resources(measured, checks);
    checks.check(
        measured.recovered == 100,
        &format!(
            "{} of 100 reads after the last fault had a result",
            measured.recovered
        ),
    );
    for problem in &measured.report.summary.problems {
        println!("       {problem}");
    }
}

fn print_faults(measured: &Measurements) {
    let ServiceReport { summary, faults } = &measured.report;
    let total: u64 = faults.values().sum();
    println!(
        "\n{} exchanges in {:.0} s, {} of them token requests; {total} faults, in {:.2} % of the \
         exchanges",
        summary.exchanges,
        measured.seconds,
        summary.token_exchanges,
        percent(total, summary.exchanges),
    );
    for (name, count) in faults {
        println!("  {name:<42} {count:>7}");
    }
}

fn check_calls(measured: &Measurements, checks: &mut Checks) {
    let tally = &measured.tally;
    let (begun, results, errors) = (tally.begun(), tally.results(), tally.errors());
    checks.check(
        begun == results + errors,
        &format!("{begun} calls = {results} results + {errors} typed errors"),
    );
    let (panics, crashed) = (measured.panics, measured.crashed);
    checks.check(
        panics == 0 && crashed == 0,
        &format!("{panics} panics in any thread, {crashed} calling threads ended by one"),
    );
}

fn check_sign_ins(measured: &Measurements, checks: &mut Checks) {
    let summary = &measured.report.summary;
    checks.check(
        summary.wrong_reports == 0,
        &format!(
            "{} sign-ins reported, {} approved at the service; reported for another user or \
             request, without approval or validation, or twice: {}",
            summary.reported, summary.approved, summary.wrong_reports
        ),
    );
    checks.check(
        measured.contradictions == 0,
        &format!(
            "{} of them looked up at the service, {} contradicted by it",
            measured.lookups, measured.contradictions
        ),
    );
    checks.check(
        measured.successful_attacks == 0,
        &format!(
            "{} attacks, {} signed a user in",
            measured.attacks, measured.successful_attacks
        ),
    );
}

fn check_starts(measured: &Measurements, checks: &mut Checks) {
    let summary = &measured.report.summary;
    let starts = measured.starts;
    checks.check(
        summary.untagged == 0 && summary.starts <= starts && summary.succeeded_twice == 0,
        &format!(
            "{starts} starts, {} of them arrived, {} times in all, {} without a tag; with one \
             response of status 200: {}, with several: {}",
            summary.starts,
            summary.arrivals,
            summary.untagged,
            summary.succeeded,
            summary.succeeded_twice
        ),
    );
    checks.check(
        summary.repeated_without_reason == 0,
        &format!(
            "starts repeated after a 401 or 429 only: {}; after anything else: {}",
            summary.repeated_with_reason, summary.repeated_without_reason
        ),
    );
    checks.check(
        summary.duplicate_mails == 0,
        &format!(
            "starts for which two mails were sent: {}",
            summary.duplicate_mails
        ),
    );
}

fn check_resources(measured: &Measurements, checks: &mut Checks) {
    let Measurements {
        before,
        warm,
        end,
        after,
        ..
    } = measured;
    let heap = |resources: &Resources| resources.heap >> 10;
    let sockets = |resources: &Resources| resources.kernel.map_or(0, |kernel| kernel.sockets);
    let more = sockets(end).saturating_sub(sockets(warm));
    let bound = warm.heap + more * CONNECTION + GROWTH;
    checks.check(
        end.heap <= bound,
        &format!(
            "heap in use after the warm-up {} KiB with {} sockets, at the end {} KiB with {}; \
             bound {} KiB: {} KiB more, and {} KiB for each further connection",
            heap(warm),
            sockets(warm),
            heap(end),
            sockets(end),
            bound >> 10,
            GROWTH >> 10,
            CONNECTION >> 10,
        ),
    );
    checks.check(
        after.heap <= before.heap + REMAINDER,
        &format!(
            "heap in use before the clients {} KiB, after them {} KiB; bound {} KiB more, for \
             tables of the process and of this program",
            heap(before),
            heap(after),
            REMAINDER >> 10
        ),
    );
    let kernels = (
        before.kernel,
        warm.kernel,
        measured.peak,
        end.kernel,
        after.kernel,
    );
    let (Some(before), Some(warm), Some(peak), Some(end), Some(after)) = kernels else {
        println!("  [NOT MEASURED] threads, sockets and resident memory: Linux only");
        return;
    };
    checks.check(
        end.rss_kib <= warm.rss_kib + RSS_GROWTH_KIB,
        &format!(
            "resident memory before {} KiB, after the warm-up {} KiB, peak {} KiB, at the end {} \
             KiB, after the clients {} KiB; bound {RSS_GROWTH_KIB} KiB over the warm-up, because \
             the allocator keeps freed memory",
            before.rss_kib, warm.rss_kib, peak.rss_kib, end.rss_kib, after.rss_kib
        ),
    );
    // Two clients, each with at most one connection per thread and one that was
    // opened in advance.
    let most = 2 * (measured.threads + 1);
    checks.check(
        peak.sockets <= most && end.sockets <= most && before.sockets == after.sockets,
        &format!(
            "sockets before {}, peak {} (bound {most}: for each of two clients one per thread and \
             one opened in advance), at the end {}, after the clients {}",
            before.sockets, peak.sockets, end.sockets, after.sockets
        ),
    );
    checks.check(
        end.threads == before.threads && after.threads == before.threads,
        &format!(
            "threads before {}, peak {}, at the end {}, after the clients {}",
            before.threads, peak.threads, end.threads, after.threads
        ),
    );
}

#[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
