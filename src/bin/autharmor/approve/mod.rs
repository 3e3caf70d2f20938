//! `autharmor approve`: a login helper.
//!
//! `decision.rs` decides who gets in, and nothing else does. `plan.rs` gathers
//! what is known beforehand, `ask.rs` asks the person.

mod ask;
mod check;
mod decision;
mod exec;
mod limits;
mod log;
mod message;
mod origin;
mod person;
mod plan;
mod rights;
mod settings;
mod signals;
mod terminal;
mod text;

use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use self::ask::{Answer, Question};
use self::decision::{Decision, Outcome, Verdict, decide};
use self::log::Record;
use self::origin::Origin;
use self::person::Person;
use self::plan::Plan;
use self::settings::{Failmode, LogTo, Unenrolled};
use self::signals::Interrupts;
use crate::config::ConfigArgs;
use crate::failure::Failure;

pub(crate) use self::rights::has_more_than_caller;
pub(crate) use self::settings::ApproveFile;

/// The time between two looks for signals.
const TICK: Duration = Duration::from_millis(50);
/// The time after the deadline in which the wait has to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Asks a user on the phone to approve a login
///
/// Sends a push notification, waits, and exits with 0 only if the user approved
/// and the service has verified it, or if the configuration lets in somebody who is
/// not asked. See "For administrators" in the manual.
///
/// Exit status: 0 approved, 1 not approved, 2 wrong usage, 3 wrong
/// configuration, 4 service not reachable.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  autharmor approve --check ada
      Checks everything for the login ada, but sends no push.
  autharmor approve && systemctl restart web
      Goes on only if you approve it on your phone.")]
pub(crate) struct Options {
    /// Login name; yours by default
    ///
    /// The configuration file says which Auth Armor user that is.
    user: Option<String>,

    /// For pam_exec: takes the login from PAM_USER, prints for the person
    ///
    /// Of the environment, only what PAM sets is read. USER is for --check only.
    #[arg(long, conflicts_with = "exec")]
    pam: bool,

    /// For ForceCommand of sshd: after the approval, runs SSH_ORIGINAL_COMMAND
    /// or the login shell
    ///
    /// Of the environment, only what sshd sets is read. Prints nothing without a
    /// terminal.
    #[arg(long, conflicts_with = "user")]
    exec: bool,

    /// Does everything but the push notification, and prints what it finds
    ///
    /// Run it as the user that PAM or sshd would run it as, with the same other
    /// options.
    #[arg(long)]
    check: bool,

    /// Decision if the service cannot be asked [default: that of the
    /// configuration file, or else secure]
    #[arg(long, value_name = "MODE")]
    failmode: Option<Failmode>,

    /// Destination of the log [default: syslog with --pam and --exec]
    #[arg(long, value_name = "WHERE")]
    log: Option<LogTo>,

    #[command(flatten)]
    config: ConfigArgs,
}

/// Approves a login, or does not.
pub(crate) fn run(options: &Options) -> ExitCode {
    let began = Instant::now();
    let usage = match (options.pam, options.check, &options.user) {
        (true, false, Some(_)) => Err(Failure::Usage("USER is not for --pam".to_owned())),
        _ => rights::check_arguments(),
    };
    if let Err(failure) = usage {
        eprintln!("autharmor: {failure}");
        return failure.exit_code();
    }
    if options.check {
        return check::run(options);
    }
    let mut login = Login {
        options,
        origin: None,
        plan: None,
    };
    let plan = options.origin().and_then(|origin| {
        let origin = login.origin.insert(origin);
        Plan::make(options, origin)
    });
    match plan {
        Ok(plan) => {
            login.plan = Some(&plan);
            login.ask(&plan, began)
        }
        Err(failure) => {
            let answer = Answer::from(failure);
            let decision = decide(answer.outcome, Failmode::Secure, Unenrolled::Deny);
            login.end(&answer, decision)
        }
    }
}

/// A login, and what is known about it so far.
struct Login<'a> {
    options: &'a Options,
    origin: Option<Origin>,
    plan: Option<&'a Plan>,
}

impl Login<'_> {
    fn ask(&self, plan: &Plan, began: Instant) -> ExitCode {
        let answer = match &plan.person {
            Person::Exempt => Outcome::Exempt.into(),
            Person::NoUser => Outcome::NoUser.into(),
            Person::User(user) => {
                return match Interrupts::watch(self.options.pam) {
                    Ok(interrupts) => {
                        let question = plan.question(user, began, self.options.screen());
                        self.ask_user(plan, &question, &interrupts)
                    }
                    Err(failure) => self.end_by(plan, &failure.into()),
                };
            }
        };
        self.end_by(plan, &answer)
    }

    fn ask_user(&self, plan: &Plan, question: &Question, interrupts: &Interrupts) -> ExitCode {
        let has_enough = limits::raise();
        let mut answer = wait(question, interrupts, Question::sign_in);
        if answer.outcome == Outcome::Unreachable && !has_enough {
            // The caller may have made it fail.
            answer.outcome = Outcome::Broken;
        }
        let decision = decide(answer.outcome, plan.failmode, plan.unenrolled);
        if decision.verdict != Verdict::Enrol {
            return self.end(&answer, decision);
        }
        self.log(&answer, decision);
        let answer = wait(question, interrupts, Question::enrol_and_sign_in);
        // The service has been reached, and the user has got the chance.
        let decision = decide(answer.outcome, Failmode::Secure, Unenrolled::Deny);
        self.end(&answer, decision)
    }

    fn end_by(&self, plan: &Plan, answer: &Answer) -> ExitCode {
        let decision = decide(answer.outcome, plan.failmode, plan.unenrolled);
        self.end(answer, decision)
    }

    /// Carries the decision out.
    fn end(&self, answer: &Answer, decision: Decision) -> ExitCode {
        self.log(answer, decision);
        let is_let_in = decision.verdict == Verdict::Admit;
        // The terminal may be closed, or stopped. On standard error the log
        // has said it.
        if answer.outcome != Outcome::Interrupted && self.log_to() != LogTo::Stderr {
            let verdict = if is_let_in { "Let in" } else { "Not let in" };
            let text = format!("{verdict}: {}.", decision.reason);
            self.options.screen().say(&text);
        }
        match decision.verdict {
            Verdict::Admit if self.options.exec => {
                let failure = exec::run(self.plan.and_then(|plan| plan.sftp_server.as_deref()));
                let broken = decide(Outcome::Broken, Failmode::Secure, Unenrolled::Deny);
                self.log(&failure.into(), broken);
                ExitCode::FAILURE
            }
            Verdict::Admit => ExitCode::SUCCESS,
            Verdict::Refuse(status) => ExitCode::from(status),
            Verdict::Enrol => ExitCode::FAILURE,
        }
    }

    fn log_to(&self) -> LogTo {
        self.plan
            .map_or_else(|| self.options.log_to(None), |plan| plan.log_to)
    }

    fn log(&self, answer: &Answer, decision: Decision) {
        let user = match self.plan.map(|plan| &plan.person) {
            Some(Person::User(user)) => Some(user.as_str()),
            _ => None,
        };
        log::log(
            self.log_to(),
            &Record {
                outcome: answer.outcome,
                decision,
                origin: self.origin.as_ref(),
                user,
                request_id: answer.request_id,
                detail: answer.detail.as_deref(),
            },
        );
    }
}

/// Asks in another thread, so that neither a signal nor a closed terminal has to
/// wait for the network.
fn wait(question: &Question, interrupts: &Interrupts, ask: fn(&Question) -> Answer) -> Answer {
    let broken = |why: &str| Answer::from(Outcome::Broken).with_detail(why);
    let end = question.deadline + GRACE;
    let (sender, receiver) = mpsc::channel();
    let question = question.clone();
    let thread = thread::Builder::new().name("ask".to_owned());
    let spawned = thread.spawn(move || {
        let _ = sender.send(ask(&question));
    });
    if let Err(error) = spawned {
        return broken(&error.to_string());
    }
    loop {
        let answer = receiver.recv_timeout(TICK);
        // A signal that arrived together with an approval counts.
        if let Some(why) = interrupts.pending() {
            return Answer::from(Outcome::Interrupted).with_detail(why);
        }
        match answer {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if Instant::now() < end => {}
            Err(RecvTimeoutError::Timeout) => return broken("the deadline has passed"),
            Err(RecvTimeoutError::Disconnected) => return broken("a thread has failed"),
        }
    }
}
