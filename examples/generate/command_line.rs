//! The page about the command line.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command, CommandFactory};
use do_cluster_access::args::Cli;

use crate::markdown::{code, page as markdown_page, points, sentence, table};

/// Every command with its flags.
pub(crate) fn page() -> String {
    let mut program = Cli::command();
    program.build();
    let about = program.get_about().expect("a description").to_string();
    let mut parts = vec![
        sentence(&about),
        "Each flag can be given by an environment variable as well; the flag wins. Exit codes:"
            .to_owned(),
        points([
            "0: a clean stop. SIGTERM and SIGINT let what has begun come to its end.".to_owned(),
            "2: the command line is wrong.".to_owned(),
            "1: anything else. Standard error says what.".to_owned(),
        ]),
    ];
    for command in program
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        parts.push(format!(
            "## `{} {}`",
            program.get_name(),
            command.get_name()
        ));
        parts.push(sentence(
            &command.get_about().expect("a description").to_string(),
        ));
        parts.extend(flags(command));
    }
    markdown_page("Command line", "`src/args.rs`", &parts)
}

fn flags(command: &Command) -> Option<String> {
    let own = |argument: &&Arg| !["help", "version"].contains(&argument.get_id().as_str());
    let rows: Vec<_> = command.get_arguments().filter(own).map(flag).collect();
    let head = ["flag", "environment variable", "default", "meaning"];
    (!rows.is_empty()).then(|| table(&head, rows))
}

fn flag(argument: &Arg) -> Vec<String> {
    let name = argument.get_long().expect("flags have long names");
    let value = argument.get_value_names().and_then(<[_]>::first);
    let value = value.expect("flags have a value with a name");
    let variable = argument.get_env().and_then(|name| name.to_str());
    let default = argument.get_default_values().iter();
    let default = default.filter_map(|default| default.to_str().map(code));
    let mut meaning = vec![sentence(
        &argument.get_help().expect("a description").to_string(),
    )];
    meaning.extend(words(name, argument));
    if matches!(argument.get_action(), ArgAction::Append) {
        meaning.push("In the environment variable, separated by commas.".to_owned());
    }
    vec![
        code(&format!("--{name} {value}")),
        variable.map(code).unwrap_or_default(),
        default.collect::<Vec<_>>().join(", "),
        meaning.join(" "),
    ]
}

/// What may be given, where that is a choice.
fn words(name: &str, argument: &Arg) -> Option<String> {
    let words = argument.get_possible_values();
    let words: Vec<_> = words.iter().map(PossibleValue::get_name).collect();
    match words.as_slice() {
        [] => None,
        ["true", "false"] => Some(format!(
            "Switched off by {}.",
            code(&format!("--{name}=false"))
        )),
        words => {
            let words: Vec<_> = words.iter().map(|word| code(word)).collect();
            Some(format!("One of {}.", words.join(", ")))
        }
    }
}
