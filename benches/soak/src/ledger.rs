//! Records what happened at the service, to compare with what the client
//! reports.

use std::collections::{HashMap, HashSet};

use autharmor::emulator::RecordedRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The prefix of the tag that identifies a start request.
pub const TAG_PREFIX: &str = "soak-";

#[derive(Default)]
pub struct Ledger {
    exchanges: u64,
    token_exchanges: u64,
    /// By tag, the status of the response to each arrival of this start request,
    /// in order; 0 for a response that a fault destroyed.
    starts: HashMap<String, Vec<u16>>,
    untagged: u64,
    /// The owners of passkeys, by credential id.
    passkeys: HashMap<String, Uuid>,
    /// The user who approved a request.
    approved: HashMap<Uuid, Uuid>,
    /// The requests with a successful validate call.
    validated: HashSet<Uuid>,
    /// The requests for which the client reported a sign-in.
    reported: HashSet<Uuid>,
    wrong_reports: u64,
    duplicate_mails: u64,
    /// Descriptions of the first problems.
    problems: Vec<String>,
}

/// A sign-in as the client reports it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReportedSignIn {
    pub user: Uuid,
    pub request: Uuid,
    /// The request that was started.
    pub started: Uuid,
    /// The user for whom it was started; `None` if for anybody.
    pub started_for: Option<Uuid>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    pub exchanges: u64,
    pub token_exchanges: u64,
    pub starts: u64,
    pub arrivals: u64,
    pub untagged: u64,
    /// Starts that arrived again after a 401 or 429 only.
    pub repeated_with_reason: u64,
    pub repeated_without_reason: u64,
    /// Starts with one response of status 200, and with several.
    pub succeeded: u64,
    pub succeeded_twice: u64,
    pub approved: u64,
    pub reported: u64,
    pub wrong_reports: u64,
    pub duplicate_mails: u64,
    pub problems: Vec<String>,
}

impl Ledger {
    pub fn new(passkeys: HashMap<String, Uuid>) -> Self {
        Self {
            passkeys,
            ..Self::default()
        }
    }

    pub fn record(&mut self, request: &RecordedRequest, status: u16) {
        self.exchanges += 1;
        let endpoint = request.endpoint().unwrap_or_default();
        let body = || serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        match endpoint {
            "token" => self.token_exchanges += 1,
            _ if endpoint.starts_with("start_") => match tag(&body()) {
                Some(tag) => self.starts.entry(tag).or_default().push(status),
                None => self.untagged += 1,
            },
            "finish_webauthn_auth" if status == 200 => self.record_finish(&body()),
            "validate_authenticator_auth"
            | "validate_webauthn_auth"
            | "validate_magiclink_email_auth"
                if status == 200 =>
            {
                self.validated.extend(id(&body()["auth_request_id"]));
            }
            _ => {}
        }
    }

    /// The emulator has verified the assertion, so the owner of the passkey has
    /// approved.
    fn record_finish(&mut self, body: &Value) {
        let page = body["authenticator_response_data"].as_str();
        let page = page.and_then(|page| serde_json::from_str::<Value>(page).ok());
        let owner = page.and_then(|page| self.passkeys.get(page["id"].as_str()?).copied());
        if let (Some(request), Some(owner)) = (id(&body["auth_request_id"]), owner) {
            self.record_approval(request, owner);
        }
    }

    pub fn record_approval(&mut self, request: Uuid, user: Uuid) {
        self.approved.insert(request, user);
    }

    /// Compares a sign-in that the client reports with what happened.
    pub fn check_sign_in(&mut self, report: &ReportedSignIn) {
        let approved_by = self.approved.get(&report.request);
        let is_new = self.reported.insert(report.request);
        let problem = if approved_by.is_none() {
            "nobody approved it"
        } else if approved_by != Some(&report.user) {
            "another user approved it"
        } else if !self.validated.contains(&report.request) {
            "it was not validated"
        } else if report.started != report.request {
            "another request was started"
        } else if report.started_for.is_some_and(|user| user != report.user) {
            "it was started for another user"
        } else if !is_new {
            "it was reported before"
        } else {
            return;
        };
        self.wrong_reports += 1;
        self.add_problem(format!("{report:?}: {problem}"));
    }

    pub fn record_duplicate_mail(&mut self, tag: &str) {
        self.duplicate_mails += 1;
        self.add_problem(format!("{tag}: two mails for one start"));
    }

    fn add_problem(&mut self, problem: String) {
        if self.problems.len() < 20 {
            self.problems.push(problem);
        }
    }

    pub fn summary(&mut self) -> Summary {
        let mut summary = Summary {
            exchanges: self.exchanges,
            token_exchanges: self.token_exchanges,
            untagged: self.untagged,
            approved: self.approved.len() as u64,
            reported: self.reported.len() as u64,
            wrong_reports: self.wrong_reports,
            duplicate_mails: self.duplicate_mails,
            ..Summary::default()
        };
        let mut problems = Vec::new();
        for (tag, statuses) in &self.starts {
            summary.starts += 1;
            summary.arrivals += statuses.len() as u64;
            match statuses.iter().filter(|status| **status == 200).count() {
                0 => {}
                1 => summary.succeeded += 1,
                _ => summary.succeeded_twice += 1,
            }
            let Some((_, earlier @ [_, ..])) = statuses.split_last() else {
                continue;
            };
            // Refused before anything was done.
            if earlier.iter().all(|status| matches!(status, 401 | 429)) {
                summary.repeated_with_reason += 1;
            } else {
                summary.repeated_without_reason += 1;
                problems.push(format!("{tag} arrived again: {statuses:?}"));
            }
        }
        for problem in problems {
            self.add_problem(problem);
        }
        summary.problems.clone_from(&self.problems);
        summary
    }
}

/// Finds the tag in the field that this start request has for it.
fn tag(body: &Value) -> Option<String> {
    ["short_msg", "webauthn_client_id", "username"]
        .iter()
        .filter_map(|field| body[field].as_str())
        .find(|text| text.starts_with(TAG_PREFIX))
        .map(str::to_owned)
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}
