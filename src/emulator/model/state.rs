//! [`State`]: everything that the service knows.

mod registrations;
mod users;

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use uuid::Uuid;

use super::{
    access_token::Grant,
    auth_request::{AuthRequest, Decision},
    clock::{Clock, Stamp},
    config::Config,
    error::EmulatorError,
    ids::{Ids, Kind},
    kept::{Kept, LIMIT},
    mail::{Link, LinkPurpose, Mail, MailKind},
    rate_limit::RateLimits,
    registration::Registration,
    signed_message::PhoneKey,
    user::{Method, User},
};

type Result<T> = std::result::Result<T, EmulatorError>;

/// A mail before it is sent.
pub(crate) struct Draft<'a> {
    pub(crate) kind: MailKind,
    pub(crate) purpose: LinkPurpose,
    pub(crate) to: &'a str,
    pub(crate) subject: String,
    pub(crate) short_msg: Option<String>,
    pub(crate) redirect: &'a str,
}

pub(crate) struct State {
    pub(crate) ids: Ids,
    pub(crate) clock: Clock,
    pub(crate) project: Uuid,
    pub(crate) phone: PhoneKey,
    users: HashMap<Uuid, User>,
    user_order: Vec<Uuid>,
    by_name: HashMap<String, Uuid>,
    by_address: HashMap<String, Uuid>,
    /// The owners of passkeys, by credential id.
    by_passkey: HashMap<String, Uuid>,
    /// By their text, so that no signature has to be verified.
    tokens: HashMap<String, Grant>,
    token_order: VecDeque<String>,
    pub(crate) rate_limits: RateLimits,
    pub(crate) auth: Kept<AuthRequest>,
    /// The automatic decision of each new sign-in on a phone, and the time from its
    /// start to it.
    automatic: Option<(Decision, Duration)>,
    /// Sign-ins to decide automatically, in the order of the times.
    scheduled: VecDeque<(Stamp, Uuid, Decision)>,
    /// The credential that an auth request was sent to or decided with, by the
    /// request's id.
    used: HashMap<Uuid, Uuid>,
    pub(crate) registrations: Kept<Registration>,
    pub(crate) outbox: Kept<Mail>,
    pub(crate) links: HashMap<String, Link>,
}

impl State {
    pub(crate) fn new(config: &Config, phone: PhoneKey) -> Result<Self> {
        let mut ids = Ids::new(config.seed);
        let mut state = Self {
            project: ids.uuid(Kind::Project),
            ids,
            clock: Clock::new(config.clock_start),
            phone,
            users: HashMap::new(),
            user_order: Vec::new(),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            by_passkey: HashMap::new(),
            tokens: HashMap::new(),
            token_order: VecDeque::new(),
            rate_limits: RateLimits::new(&config.rate_limits),
            auth: Kept::default(),
            automatic: config.approve_after.map(|after| (Decision::Approve, after)),
            scheduled: VecDeque::new(),
            used: HashMap::new(),
            registrations: Kept::default(),
            outbox: Kept::default(),
            links: HashMap::new(),
        };
        for user in &config.users {
            state.add_new_user(user)?;
        }
        Ok(state)
    }

    /// Adds a token that is valid from now on.
    pub(crate) fn insert_token(
        &mut self,
        token: String,
        lifetime: Duration,
        scopes: Vec<&'static str>,
    ) {
        let expires = self.clock.now().plus(lifetime);
        let grant = Grant { expires, scopes };
        self.tokens.insert(token.clone(), grant);
        self.token_order.push_back(token);
        if self.token_order.len() > LIMIT {
            if let Some(oldest) = self.token_order.pop_front() {
                self.tokens.remove(&oldest);
            }
        }
    }

    /// The scopes of a token, or why it is not valid.
    pub(crate) fn check_token(&self, token: &str) -> std::result::Result<&[&'static str], &str> {
        match self.tokens.get(token) {
            None => Err("the access token is unknown or was revoked"),
            Some(grant) if self.clock.now() >= grant.expires => Err("the access token has expired"),
            Some(grant) => Ok(&grant.scopes),
        }
    }

    pub(crate) fn revoke_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(crate) fn revoke_all_tokens(&mut self) {
        self.tokens.clear();
        self.token_order.clear();
    }

    /// Takes over the valid tokens of another state, with the life that they have
    /// left.
    pub(crate) fn keep_tokens(&mut self, other: &Self) {
        let (now, then) = (self.clock.now(), other.clock.now());
        for token in &other.token_order {
            if let Some(grant) = other.tokens.get(token).filter(|at| then < at.expires) {
                let left = grant
                    .expires
                    .since_epoch()
                    .saturating_sub(then.since_epoch());
                let grant = Grant {
                    expires: now.plus(left),
                    scopes: grant.scopes.clone(),
                };
                self.tokens.insert(token.clone(), grant);
                self.token_order.push_back(token.clone());
            }
        }
    }

    /// Sets what happens to new sign-ins on a phone, and how long after their
    /// start. Sign-ins that have started stay as they are.
    pub(crate) fn decide_automatically(&mut self, decision: Decision, after: Duration) {
        self.automatic = (decision != Decision::Ignore).then_some((decision, after));
        self.scheduled.clear();
    }

    /// Returns the automatic decision of new sign-ins on a phone, and the time from
    /// their start to it.
    pub(crate) fn automatic(&self) -> Option<(Decision, Duration)> {
        self.automatic
    }

    /// Schedules the automatic decision of a sign-in that a phone shows.
    pub(crate) fn schedule_decision(&mut self, id: Uuid) {
        if let Some((decision, after)) = self.automatic {
            let at = self.clock.now().plus(after);
            self.scheduled.push_back((at, id, decision));
        }
    }

    /// Removes and returns the next decision that is due.
    pub(crate) fn next_due(&mut self) -> Option<(Stamp, Uuid, Decision)> {
        let (at, ..) = *self.scheduled.front()?;
        (at <= self.clock.now()).then(|| self.scheduled.pop_front())?
    }

    pub(crate) fn insert_auth(&mut self, request: AuthRequest) {
        if let Some(id) = request.user {
            self.add_to_history(&id, request.id);
            if request.method == Method::Authenticator {
                self.schedule_decision(request.id);
            }
        }
        let Some(gone) = self.auth.insert(request.id, request) else {
            return;
        };
        self.used.remove(&gone.id);
        if let Some(user) = gone.user.and_then(|id| self.users.get_mut(&id)) {
            let at = user.history.iter().position(|id| *id == gone.id);
            at.and_then(|at| user.history.remove(at));
        }
    }

    /// Sets the credential of an auth request.
    pub(crate) fn use_credential(&mut self, request: Uuid, credential: Uuid) {
        self.used.insert(request, credential);
    }

    /// Whether the credential of an auth request is disabled by now.
    pub(crate) fn credential_is_disabled(&self, request: &AuthRequest) -> bool {
        let Some(used) = self.used.get(&request.id) else {
            return false;
        };
        let owner = request.user.and_then(|id| self.users.get(&id));
        !owner.is_some_and(|owner| {
            owner
                .credentials
                .iter()
                .any(|credential| credential.id == *used && credential.enabled)
        })
    }

    /// Adds an auth request to a user's history.
    pub(crate) fn add_to_history(&mut self, user: &Uuid, request: Uuid) {
        if let Some(user) = self.users.get_mut(user) {
            user.history.push_back(request);
        }
    }

    pub(crate) fn send_mail(&mut self, base_url: &str, draft: Draft<'_>) {
        let code = self.ids.token(Kind::Link);
        let id = self.ids.uuid(Kind::Link);
        let mail = Mail {
            id,
            to: draft.to.to_owned(),
            subject: draft.subject,
            short_msg: draft.short_msg,
            link: format!("{base_url}/_emulator/link/{code}"),
            kind: draft.kind,
            date: self.clock.now().iso(),
        };
        if let Some(removed) = self.outbox.insert(id, mail) {
            self.links.remove(link_code(&removed.link));
        }
        self.links.insert(
            code,
            Link {
                redirect: draft.redirect.to_owned(),
                purpose: draft.purpose,
            },
        );
    }
}

/// The last segment of a magic link or QR code, which identifies it.
pub(crate) fn link_code(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or_default()
}
