//! What a run came to: figures, tables, plots.

use std::fmt::Write as _;
use std::ops::Range;

use crate::run::Seconds;

/// The counts of one kind of request.
type Counts = fn(&Seconds) -> &Vec<u32>;

/// Seconds without a token request that separate two renewals.
const GAP: usize = 3;

/// The token requests of a run without an outage.
pub struct Renewals {
    pub cold_start: u32,
    pub most_at_a_renewal: u32,
    pub number: usize,
}

pub fn renewals(seconds: &Seconds) -> Renewals {
    let mut groups: Vec<u32> = Vec::new();
    let mut quiet = GAP;
    for &count in &seconds.tokens {
        if count == 0 {
            quiet += 1;
            continue;
        }
        if quiet >= GAP {
            groups.push(0);
        }
        quiet = 0;
        if let Some(group) = groups.last_mut() {
            *group += count;
        }
    }
    Renewals {
        cold_start: groups.first().copied().unwrap_or(0),
        most_at_a_renewal: groups.iter().skip(1).copied().max().unwrap_or(0),
        number: groups.len().saturating_sub(1),
    }
}

/// What an outage made of a run.
pub struct Outage {
    /// Requests a second before it.
    pub usual: f64,
    /// Requests sent during it for each read asked for, those for tokens included.
    pub amplification: f64,
    /// The most token requests in one second of it.
    pub most_tokens: u32,
    /// The busiest second from its end on, as a multiple of the usual.
    pub busiest_after: f64,
    /// Seconds from its end until all reads of a second end well.
    pub recovery: Option<usize>,
}

pub fn outage(seconds: &Seconds, outage: &Range<usize>) -> Outage {
    let sum = |counts: &[u32]| f64::from(counts.iter().sum::<u32>());
    let load: Vec<u32> = (seconds.api.iter().zip(&seconds.tokens))
        .map(|(api, tokens)| api + tokens)
        .collect();
    let before = 5..outage.start;
    #[expect(clippy::cast_precision_loss, reason = "few seconds")]
    let usual = sum(&load[before.clone()]) / before.len() as f64;
    let during = outage.clone();
    let busiest = load[outage.end..].iter().copied().max().unwrap_or(0);
    let is_well = |second: &usize| seconds.failed[*second] == 0 && seconds.served[*second] > 0;
    Outage {
        usual,
        amplification: sum(&seconds.for_reads[during.clone()])
            / sum(&seconds.asked[during.clone()]),
        most_tokens: seconds.tokens[during].iter().copied().max().unwrap_or(0),
        busiest_after: f64::from(busiest) / usual,
        recovery: (outage.end..seconds.served.len())
            .find(is_well)
            .map(|second| second - outage.end),
    }
}

/// A line of text for every five seconds of a run.
pub fn text_plot(seconds: &Seconds, outage: &Range<usize>) -> String {
    const STEP: usize = 5;
    const WIDTH: usize = 40;
    let average = |counts: &[u32]| counts.iter().sum::<u32>() as usize / STEP;
    let sent: Vec<usize> = seconds.api.chunks_exact(STEP).map(average).collect();
    let most = sent.iter().copied().max().unwrap_or(0).max(1);
    let mut text = String::from("second   API/s  token requests\n");
    for (row, sent) in sent.iter().enumerate() {
        let second = row * STEP;
        let tokens: u32 = seconds.tokens[second..second + STEP].iter().sum();
        let mark = if outage.contains(&second) {
            "outage"
        } else {
            ""
        };
        let bar = "#".repeat(sent * WIDTH / most);
        let _ = writeln!(
            text,
            "{second:>6} {sent:>7} {tokens:>7}  {bar:<WIDTH$} {mark}"
        );
    }
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// Requests by second, of the API above and of the token endpoint below.
pub fn svg(title: &str, runs: &[(&str, &Seconds)], outage: &Range<usize>) -> String {
    const COLOURS: [&str; 3] = ["#c33", "#36c", "#393"];
    const PANEL: (f64, f64) = (720.0, 150.0);
    let length = runs.iter().map(|(_, run)| run.api.len()).max().unwrap_or(1);
    #[expect(clippy::cast_precision_loss, reason = "few seconds")]
    let x = |second: usize| 60.0 + PANEL.0 * second as f64 / length as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 430\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"800\" height=\"430\" fill=\"#fff\"/>\n\
         <text x=\"60\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    let panels: [(&str, Counts); 2] = [
        ("requests to the API in each second", |run| &run.api),
        ("requests to the token endpoint in each second", |run| {
            &run.tokens
        }),
    ];
    for ((name, counts), top) in panels.into_iter().zip([45.0, 235.0]) {
        let most = runs.iter().flat_map(|(_, run)| counts(run)).copied().max();
        let most = most.unwrap_or(0).max(1);
        let bottom = top + PANEL.1;
        let y = |count: u32| bottom - PANEL.1 * f64::from(count) / f64::from(most);
        let _ = writeln!(
            text,
            "<rect x=\"{:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{}\" fill=\"#eee\"/>\n\
             <text x=\"64\" y=\"{}\">{name}; during the grey minute both hosts are down</text>\n\
             <text x=\"55\" y=\"{}\" text-anchor=\"end\">{most}</text>\n\
             <text x=\"55\" y=\"{bottom}\" text-anchor=\"end\">0</text>",
            x(outage.start),
            x(outage.end) - x(outage.start),
            PANEL.1,
            top - 4.0,
            top + 10.0,
        );
        for ((_, run), colour) in runs.iter().zip(COLOURS) {
            let points: Vec<_> = (counts(run).iter().enumerate())
                .map(|(second, count)| format!("{:.1},{:.1}", x(second), y(*count)))
                .collect();
            let _ = writeln!(
                text,
                "<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>",
                points.join(" ")
            );
        }
    }
    for (index, ((name, _), colour)) in (0u8..).zip(runs.iter().zip(COLOURS)) {
        let left = 60 + 240 * u32::from(index);
        let _ = writeln!(
            text,
            "<text x=\"{left}\" y=\"415\" fill=\"{colour}\">{name}</text>"
        );
    }
    text + "</svg>\n"
}
