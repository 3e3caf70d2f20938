//! What must hold, and the numbers by which it does.

use crate::Options;
use crate::measure::{Holdings, Kernel};
use crate::service::Records;
use crate::tally::Tally;

/// Whether all checks held so far.
#[derive(Default)]
pub(crate) struct Verdict {
    failures: usize,
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.failures == 0
    }

    pub(crate) fn check(&mut self, holds: bool, what: &str) {
        println!("  [{}] {what}", if holds { "ok" } else { "FAILED" });
        self.failures += usize::from(!holds);
    }
}

/// All that was seen in the soak.
pub(crate) struct Evidence {
    pub(crate) tally: Tally,
    pub(crate) records: Records,
    pub(crate) starts: u64,
    pub(crate) attacks: (u64, u64),
    pub(crate) confirmations: (u64, u64),
    pub(crate) panics: u64,
    pub(crate) crashed: u64,
    pub(crate) seconds: f64,
    /// Of a hundred reads after the faults were over, those with a result.
    pub(crate) healed: u64,
    pub(crate) before: Holdings,
    pub(crate) warm: Holdings,
    pub(crate) peak: Option<Kernel>,
    pub(crate) end: Holdings,
    pub(crate) after: Holdings,
}

/// A connection more or less is no leak; with its TLS session and buffers it
/// takes less than this.
const CONNECTION: usize = 80 << 10;
/// What tables may still grow by. In a million calls that is less than a byte
/// for every ten of them.
const SLACK: usize = 64 << 10;
/// What may be left of the clients: the process's own tables, set up once.
const REST: usize = 64 << 10;
/// The allocator keeps what was freed, and more of it where many threads were.
const RSS_SLACK_KIB: usize = 16 << 10;

pub(crate) fn judge(evidence: &Evidence, options: &Options, verdict: &mut Verdict) {
    print_faults(evidence);
    evidence.tally.print();
    println!("\nChecks of the soak:");
    all_calls_ended(evidence, verdict);
    sign_ins_are_true(evidence, verdict);
    starts_are_not_repeated(evidence, verdict);
    nothing_is_left(evidence, options, verdict);
    verdict.check(
        evidence.healed == 100,
        &format!(
            "{} of 100 reads after the last fault had a result",
            evidence.healed
        ),
    );
    for what in &evidence.records.summary.wrong {
        println!("       {what}");
    }
}

fn print_faults(evidence: &Evidence) {
    let Records { summary, struck } = &evidence.records;
    let total: u64 = struck.values().sum();
    println!(
        "\n{} exchanges in {:.0} s, {} of them for tokens. Faults that struck: {total}, in {:.2} %",
        summary.exchanges,
        evidence.seconds,
        summary.token_exchanges,
        percent(total, summary.exchanges),
    );
    for (name, count) in struck {
        println!("  {name:<42} {count:>7}");
    }
}

fn all_calls_ended(evidence: &Evidence, verdict: &mut Verdict) {
    let tally = &evidence.tally;
    let (begun, results, errors) = (tally.begun(), tally.results(), tally.errors());
    verdict.check(
        begun == results + errors,
        &format!("{begun} calls = {results} results + {errors} typed errors"),
    );
    let (panics, crashed) = (evidence.panics, evidence.crashed);
    verdict.check(
        panics == 0 && crashed == 0,
        &format!("{panics} panics in any thread, {crashed} callers ended by one"),
    );
}

fn sign_ins_are_true(evidence: &Evidence, verdict: &mut Verdict) {
    let summary = &evidence.records.summary;
    verdict.check(
        summary.wrong_reports == 0,
        &format!(
            "{} sign-ins reported, {} granted at the service; reported for another user or \
             request, without a grant or validation, or twice: {}",
            summary.reported, summary.granted, summary.wrong_reports
        ),
    );
    let (asked, contradicted) = evidence.confirmations;
    verdict.check(
        contradicted == 0,
        &format!("{asked} of them looked up at the service, {contradicted} unknown to it"),
    );
    let (attacks, won) = evidence.attacks;
    verdict.check(
        won == 0,
        &format!("{attacks} attacks, {won} signed somebody in"),
    );
}

fn starts_are_not_repeated(evidence: &Evidence, verdict: &mut Verdict) {
    let summary = &evidence.records.summary;
    let starts = evidence.starts;
    verdict.check(
        summary.unmarked == 0 && summary.starts <= starts && summary.answered_twice == 0,
        &format!(
            "{starts} starts, {} of them arrived, {} times in all, {} without a mark; answered \
             with a 200 {}, twice {}",
            summary.starts,
            summary.arrivals,
            summary.unmarked,
            summary.answered,
            summary.answered_twice
        ),
    );
    verdict.check(
        summary.repeated_without_reason == 0,
        &format!(
            "starts repeated after nothing but a 401 or 429: {}; without that reason: {}",
            summary.repeated_with_reason, summary.repeated_without_reason
        ),
    );
    verdict.check(
        summary.mailed_twice == 0,
        &format!(
            "starts for which two mails went out: {}",
            summary.mailed_twice
        ),
    );
}

fn nothing_is_left(evidence: &Evidence, options: &Options, verdict: &mut Verdict) {
    let Evidence {
        before,
        warm,
        end,
        after,
        ..
    } = evidence;
    let heap = |holdings: &Holdings| holdings.heap >> 10;
    let connections = |holdings: &Holdings| holdings.kernel.map_or(0, |kernel| kernel.sockets);
    let more = connections(end).saturating_sub(connections(warm));
    let bound = warm.heap + more * CONNECTION + SLACK;
    verdict.check(
        end.heap <= bound,
        &format!(
            "heap in use after warm-up {} KiB with {} sockets, at the end {} KiB with {}; bound {} \
             KiB: {} KiB more, a byte for every ten of a million calls, and {} KiB for each \
             connection more",
            heap(warm),
            connections(warm),
            heap(end),
            connections(end),
            bound >> 10,
            SLACK >> 10,
            CONNECTION >> 10,
        ),
    );
    verdict.check(
        after.heap <= before.heap + REST,
        &format!(
            "heap in use before the clients {} KiB, after them {} KiB, bound {} KiB more for \
             tables of the process and of this program",
            heap(before),
            heap(after),
            REST >> 10
        ),
    );
    let kernels = (
        before.kernel,
        warm.kernel,
        evidence.peak,
        end.kernel,
        after.kernel,
    );
    let (Some(before), Some(warm), Some(peak), Some(end), Some(after)) = kernels else {
        println!("  [NOT MEASURED] threads, sockets and resident memory: they are on Linux only");
        return;
    };
    verdict.check(
        end.rss_kib <= warm.rss_kib + RSS_SLACK_KIB,
        &format!(
            "resident memory before {} KiB, after warm-up {} KiB, at its peak {} KiB, at the end \
             {} KiB, after the clients {} KiB; bound {RSS_SLACK_KIB} KiB over warm-up, for the \
             allocator keeps what was freed",
            before.rss_kib, warm.rss_kib, peak.rss_kib, end.rss_kib, after.rss_kib
        ),
    );
    // Two clients, each with at most one connection a thread and one that was
    // opened ahead.
    let most = 2 * (options.threads + 1);
    verdict.check(
        peak.sockets <= most && end.sockets <= most && before.sockets == after.sockets,
        &format!(
            "sockets before {}, at most {} (bound {most}: for each of two clients one a thread \
             and one ahead), at the end {}, after the clients {}",
            before.sockets, peak.sockets, end.sockets, after.sockets
        ),
    );
    verdict.check(
        end.threads == before.threads && after.threads == before.threads,
        &format!(
            "threads before {}, at most {}, at the end {}, after the clients {}",
            before.threads, peak.threads, end.threads, after.threads
        ),
    );
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is that large")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}
