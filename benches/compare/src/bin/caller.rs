//! Makes calls, to be measured from outside: `caller CLIENT CALL COUNT`.

use autharmor_compare::clients::CallArgs;
use clap::Parser;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: CallArgs,
}

fn main() {
    let Cli { args } = Cli::parse();
    let mut caller = args.warm_caller();
    for _ in 0..args.count {
        caller();
    }
}
