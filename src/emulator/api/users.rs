//! Users and their history.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    auth::info::info,
    call::{Call, check_name},
    decisions::{
        HISTORY_COLUMNS, HISTORY_IS_NEWEST_FIRST, USER_COLUMNS, filter_matches, name_is_in_query,
    },
    paging::Paging,
    refusal::{Refusal, Result},
};
use crate::{
    Endpoint,
    emulator::model::{
        mail::masked,
        state::State,
        user::{Credential, Method, User},
    },
};

pub(super) fn respond(call: &Call<'_>, state: &mut State) -> Result<Value> {
    match call.endpoint {
        Endpoint::ListUsers => list(call, state),
        Endpoint::UpdateUser => update(call, state),
        Endpoint::GetUserAuthHistory => history(call, state),
        _ => Ok(details(call.user(state)?)),
    }
}

/// `user`.
fn record(user: &User) -> Value {
    json!({
        "user_id": user.id,
        "username": user.username,
        "email_address": user.email,
        "date_created": user.created.iso(),
    })
}

/// `get_user_response`.
fn details(user: &User) -> Value {
    let mut details = record(user);
    let methods: Vec<Value> = Method::ALL
        .into_iter()
        .filter_map(|method| user.credential(method))
        .map(enrolled)
        .collect();
    if let Value::Object(details) = &mut details {
        details.insert("enrolled_auth_methods".to_owned(), Value::Array(methods));
    }
    details
}

fn enrolled(credential: &Credential) -> Value {
    let info = match credential.method {
        Method::Magiclink => masked(&credential.name),
        _ => credential.name.clone(),
    };
    json!({
        "auth_method_id": credential.method.id(),
        "auth_method_name": credential.method.name(),
        "auth_method_masked_info": info,
    })
}

fn list(call: &Call<'_>, state: &State) -> Result<Value> {
    let paging = Paging::of(call, &USER_COLUMNS)?;
    let filter = if name_is_in_query(call.version) {
        call.parameter("username").map(str::to_owned)
    } else {
        call.name_header("x-autharmor-userfilterstring")?
    };
    if filter.is_none() && paging.column.is_none_or(|column| column == "date_created") {
        // In the order of creation: only the page has to be looked at.
        let ids = state.user_ids();
        let (range, info) = paging.range(ids.len());
        let page: Vec<&Uuid> = if paging.descending {
            let turned = ids.len() - range.end..ids.len() - range.start;
            ids.get(turned).unwrap_or_default().iter().rev().collect()
        } else {
            ids.get(range).unwrap_or_default().iter().collect()
        };
        let users = page.into_iter().filter_map(|id| state.user(id));
        let records: Vec<Value> = users.map(record).collect();
        return Ok(json!({ "user_records": records, "page_info": info }));
    }
    let mut users: Vec<&User> = state
        .users()
        .filter(|user| {
            filter
                .as_deref()
                .is_none_or(|filter| filter_matches(&user.username, filter))
        })
        .collect();
    paging.sort(&mut users, |user, column| match column {
        "user_id" => user.id.to_string(),
        "email_address" => user.email.clone().unwrap_or_default(),
        "date_created" => user.created.iso(),
        _ => user.username.clone(),
    });
    let (page, info) = paging.cut(&users);
    let records: Vec<Value> = page.iter().map(|user| record(user)).collect();
    Ok(json!({ "user_records": records, "page_info": info }))
}

fn update(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let id = call.user(state)?.id;
    let username = call.required("new_username")?;
    check_name("new_username", username)?;
    if !state.rename_user(&id, username) {
        return Err(Refusal::conflict("the username is in use"));
    }
    state
        .user(&id)
        .map(record)
        .ok_or_else(|| Refusal::not_found("user"))
}

fn history(call: &Call<'_>, state: &State) -> Result<Value> {
    let paging = Paging::of(call, &HISTORY_COLUMNS)?;
    let user = call.user(state)?;
    let newest_first = HISTORY_IS_NEWEST_FIRST
        && paging.column.is_none()
        && call.parameter("sort_direction").is_none();
    let mut ids: Vec<_> = user.history.iter().collect();
    if newest_first {
        ids.reverse();
    }
    let now = state.clock.now();
    paging.sort(&mut ids, |id, column| {
        state.auth.get(id).map(|request| match column {
            "date" => request.created.iso(),
            // Ids and names have the same order.
            _ => request.phase(now).status_id().to_string(),
        })
    });
    let (page, page_info) = paging.cut(&ids);
    let records: Vec<Value> = page
        .iter()
        .filter_map(|id| state.auth.get(id))
        .map(|request| info(state, request, call.version))
        .collect();
    Ok(json!({ "auth_history_records": records, "page_info": page_info }))
}
