//! What really happened at the service, noted where it happened, to be held
//! against what the client says.

use std::collections::{HashMap, HashSet};

use autharmor::emulator::RecordedRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// How the text of a start's mark begins.
pub(crate) const MARK: &str = "soak-";

#[derive(Default)]
pub(crate) struct Register {
    exchanges: u64,
    token_exchanges: u64,
    /// The statuses that each start was answered with, in the order of its
    /// arrivals; 0 for an answer that was spoilt.
    starts: HashMap<String, Vec<u16>>,
    unmarked: u64,
    /// Who owns a passkey, by its credential id.
    passkeys: HashMap<String, Uuid>,
    /// Who approved a request, by the person's own deed.
    granted: HashMap<Uuid, Uuid>,
    /// The requests whose validate call was answered.
    validated: HashSet<Uuid>,
    /// The requests by which the client says that somebody signed in.
    reported: HashSet<Uuid>,
    wrong_reports: u64,
    mailed_twice: u64,
    /// The first things that are wrong, in words.
    wrong: Vec<String>,
}

/// A sign-in as the client reports it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) user: Uuid,
    pub(crate) request: Uuid,
    /// The request that was begun.
    pub(crate) begun: Uuid,
    /// The user whom it was begun for, if for anybody in particular.
    pub(crate) begun_for: Option<Uuid>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) exchanges: u64,
    pub(crate) token_exchanges: u64,
    pub(crate) starts: u64,
    pub(crate) arrivals: u64,
    pub(crate) unmarked: u64,
    /// Starts that arrived more than once, all but the last time refused.
    pub(crate) repeated_with_reason: u64,
    pub(crate) repeated_without_reason: u64,
    /// Starts that were answered with a 200, once and more than once.
    pub(crate) answered: u64,
    pub(crate) answered_twice: u64,
    pub(crate) granted: u64,
    pub(crate) reported: u64,
    pub(crate) wrong_reports: u64,
    pub(crate) mailed_twice: u64,
    pub(crate) wrong: Vec<String>,
}

impl Register {
    pub(crate) fn new(passkeys: HashMap<String, Uuid>) -> Self {
        Self {
            passkeys,
            ..Self::default()
        }
    }

    pub(crate) fn note(&mut self, request: &RecordedRequest, status: u16) {
        self.exchanges += 1;
        let endpoint = request.endpoint().unwrap_or_default();
        let body = || serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        match endpoint {
            "token" => self.token_exchanges += 1,
            _ if endpoint.starts_with("start_") => match mark(&body()) {
                Some(mark) => self.starts.entry(mark).or_default().push(status),
                None => self.unmarked += 1,
            },
            "finish_webauthn_auth" if status == 200 => self.note_finish(&body()),
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
    fn note_finish(&mut self, body: &Value) {
        let page = body["authenticator_response_data"].as_str();
        let page = page.and_then(|page| serde_json::from_str::<Value>(page).ok());
        let owner = page.and_then(|page| self.passkeys.get(page["id"].as_str()?).copied());
        if let (Some(request), Some(owner)) = (id(&body["auth_request_id"]), owner) {
            self.granted.insert(request, owner);
        }
    }

    pub(crate) fn grant(&mut self, request: Uuid, user: Uuid) {
        self.granted.insert(request, user);
    }

    /// The client says that somebody signed in.
    pub(crate) fn check(&mut self, report: &Report) {
        let granted_to = self.granted.get(&report.request);
        let fault = if granted_to.is_none() {
            "nobody granted it"
        } else if granted_to != Some(&report.user) {
            "somebody else granted it"
        } else if !self.validated.contains(&report.request) {
            "it was not validated"
        } else if report.begun != report.request {
            "another request was begun"
        } else if report.begun_for.is_some_and(|user| user != report.user) {
            "it was begun for somebody else"
        } else if !self.reported.insert(report.request) {
            "it was reported before"
        } else {
            return;
        };
        self.reported.insert(report.request);
        self.wrong_reports += 1;
        self.complain(format!("{report:?}: {fault}"));
    }

    pub(crate) fn note_second_mail(&mut self, mark: &str) {
        self.mailed_twice += 1;
        self.complain(format!("{mark}: two mails for one start"));
    }

    fn complain(&mut self, what: String) {
        if self.wrong.len() < 20 {
            self.wrong.push(what);
        }
    }

    pub(crate) fn summary(&mut self) -> Summary {
        let mut summary = Summary {
            exchanges: self.exchanges,
            token_exchanges: self.token_exchanges,
            unmarked: self.unmarked,
            granted: self.granted.len() as u64,
            reported: self.reported.len() as u64,
            wrong_reports: self.wrong_reports,
            mailed_twice: self.mailed_twice,
            ..Summary::default()
        };
        let mut wrong = Vec::new();
        for (mark, statuses) in &self.starts {
            summary.starts += 1;
            summary.arrivals += statuses.len() as u64;
            match statuses.iter().filter(|status| **status == 200).count() {
                0 => {}
                1 => summary.answered += 1,
                _ => summary.answered_twice += 1,
            }
            let Some((_, earlier)) = statuses.split_last().filter(|(_, all)| !all.is_empty())
            else {
                continue;
            };
            // Refused before any work: at the door, or by the rate limit.
            if earlier.iter().all(|status| matches!(status, 401 | 429)) {
                summary.repeated_with_reason += 1;
            } else {
                summary.repeated_without_reason += 1;
                wrong.push(format!("{mark} arrived again: {statuses:?}"));
            }
        }
        for what in wrong {
            self.complain(what);
        }
        summary.wrong.clone_from(&self.wrong);
        summary
    }
}

/// What tells a start from all others, wherever its body has room for it.
fn mark(body: &Value) -> Option<String> {
    ["short_msg", "webauthn_client_id", "username"]
        .iter()
        .filter_map(|field| body[field].as_str())
        .find(|text| text.starts_with(MARK))
        .map(str::to_owned)
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}
