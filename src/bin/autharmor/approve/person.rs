//! [`person_of`]: the Auth Armor user who belongs to a login name.

use std::collections::HashMap;

use nix::unistd::{Group, User};

use super::settings::ApproveFile;
use super::text::fill_in;
use crate::failure::Failure;
use crate::files::{self, Readers};

/// Who is asked about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Person {
    /// The Auth Armor user of this name.
    User(String),
    /// Nobody: the configuration exempts the login.
    Exempt,
    /// Nobody: the login has no Auth Armor user.
    NoUser,
}

/// Finds out who is asked about a login: nobody if it is exempt, else the user
/// of the file, else the one of the template. With a file, there is a template
/// only if the configuration has one.
pub(crate) fn person_of(login: &str, file: &ApproveFile) -> Result<Person, Failure> {
    // Before anything else, so that a mistake in any setting is seen.
    let template = match (&file.user, &file.users_file) {
        (Some(template), _) => Some(template.as_str()),
        (None, None) => Some("{user}"),
        (None, Some(_)) => None,
    };
    let of_template = template
        .map(|template| fill_in(template, &[("user", login)]))
        .transpose()?;
    let mut of_file = match &file.users_file {
        None => HashMap::new(),
        Some(path) => {
            let text = files::read_trusted(path, Readers::Everyone)?;
            parse_users(&text)
                .map_err(|why| Failure::Config(format!("{}: {why}", path.display())))?
        }
    };
    if file.exempt_users.iter().any(|name| name == login) || is_in_group(login, file) {
        return Ok(Person::Exempt);
    }
    let user = of_file.remove(login).or(of_template);
    Ok(user.map_or(Person::NoUser, Person::User))
}

/// Reads lines of a login name and a user name. `#` begins a comment.
fn parse_users(text: &str) -> Result<HashMap<String, String>, String> {
    let mut users = HashMap::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (login, user) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| format!("line {number} has no user"))?;
        let user = user.trim_start().to_owned();
        if users.insert(login.to_owned(), user).is_some() {
            return Err(format!("line {number} has a login of an earlier line"));
        }
    }
    Ok(users)
}

/// Whether the login belongs to an exempt group. Whatever cannot be looked up
/// exempts nobody.
fn is_in_group(login: &str, file: &ApproveFile) -> bool {
    let groups = file.exempt_groups.iter();
    let mut groups = groups.filter_map(|name| Group::from_name(name).ok().flatten());
    let primary = || User::from_name(login).ok().flatten().map(|user| user.gid);
    groups
        .any(|group| group.mem.iter().any(|member| member == login) || primary() == Some(group.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Person {
        Person::User(name.to_owned())
    }

    #[test]
    fn the_template_makes_the_user() {
        let mut file = ApproveFile::default();
        assert_eq!(person_of("ada", &file).unwrap(), user("ada"));
        file.user = Some("{user}@example.com".to_owned());
        assert_eq!(person_of("ada", &file).unwrap(), user("ada@example.com"));
        file.user = Some("{login}".to_owned());
        assert!(matches!(person_of("ada", &file), Err(Failure::Config(_))));
    }

    #[test]
    fn exempt_logins_are_nobody_elses() {
        let file = ApproveFile {
            exempt_users: vec!["root".to_owned()],
            ..ApproveFile::default()
        };
        assert_eq!(person_of("root", &file).unwrap(), Person::Exempt);
        for other in ["Root", "root ", "roo", "root2"] {
            assert_eq!(person_of(other, &file).unwrap(), user(other));
        }
    }

    #[test]
    fn members_of_exempt_groups_are_exempt() {
        let root = User::from_uid(0.into()).unwrap().unwrap();
        let group = Group::from_gid(root.gid).unwrap().unwrap();
        let mut file = ApproveFile {
            exempt_groups: vec!["no-such-group".to_owned()],
            ..ApproveFile::default()
        };
        assert_eq!(person_of(&root.name, &file).unwrap(), user(&root.name));
        file.exempt_groups.push(group.name);
        assert_eq!(person_of(&root.name, &file).unwrap(), Person::Exempt);
        assert_eq!(
            person_of("no-such-login", &file).unwrap(),
            user("no-such-login")
        );
    }

    #[test]
    fn the_file_of_users() {
        let users = parse_users("# who is who\n\nada  ada@example.com\n\tgrace\tG. Hopper \n");
        let users = users.unwrap();
        assert_eq!(users["ada"], "ada@example.com");
        assert_eq!(users["grace"], "G. Hopper");
        assert_eq!(users.len(), 2);
        assert_eq!(parse_users("ada\n").unwrap_err(), "line 1 has no user");
        let twice = parse_users("ada a\n#\nada b").unwrap_err();
        assert_eq!(twice, "line 3 has a login of an earlier line");
    }
}
