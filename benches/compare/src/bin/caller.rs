//! Makes calls, to be looked at from outside: `caller CONTENDER CALL COUNT`.

fn main() {
    let (mut caller, count) = autharmor_compare::contenders::from_args();
    for _ in 0..count {
        caller();
    }
}
