//! The configuration file: where it is found, what is refused, where values come from.

use crate::program::Program;
use serde_json::{Value, json};

fn refused(program: &Program, text: &str) -> String {
    let path = program.write("panda.toml", text);
    let done = program.run(&["--config", path.to_str().unwrap(), "config", "show"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""), "{text}: {}", done.err);
    program.stable(&done.err)
}

#[test]
fn wrong_files_are_refused_with_file_and_line() {
    let program = Program::new();
    let texts = [
        "lisen = 1\n",
        "\n[server]\nlisten = \"127.0.0.1:1\"\nlisen = \"x\"\n",
        "[servers]\nlisten = \"127.0.0.1:1\"\n",
        "[server]\nlisten = \"localhost\"\n",
        "[server]\nlisten = 25080\n",
        "[worker]\nslots = 0\n",
        "[worker]\nenabled = \"yes\"\n",
        "vos = \"amber\"\n",
        "vos = [\"amber\", 1]\n",
        "data = \"\"\n",
        "[log]\nformat = \"xml\"\n",
        "[server\n",
        "server = 1\n",
        "data = \"a\"\ndata = \"b\"\n",
        "[plugin]\nkind = \"data\"\n",
        "[plugin.\"a b\"]\nkind = \"data\"\n",
        "[plugin.keeper]\ncommand = \"x\"\n",
        "[plugin.keeper]\nkind = \"data\"\n",
        "[plugin.keeper]\nkind = \"date\"\ncommand = \"x\"\n",
        "[plugin.keeper]\nkind = \"data\"\ncommand = \"\"\n",
        "[plugin.keeper]\nkind = \"data\"\ncommand = \"x\"\ndeadline_s = 0\n",
        "[plugin.keeper]\nkind = \"data\"\ncommand = \"x\"\nenv = [\"A\"]\n",
        "[plugin.keeper]\nkind = \"data\"\ncomand = \"x\"\n",
    ];
    let all: String = texts.iter().map(|text| format!("{text}----\n{}====\n", refused(&program, text))).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let program = Program::new();
    let done = program.run(&["--config", "nowhere.toml", "config", "show"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("cannot read the configuration `nowhere.toml`"), "{}", done.err);
}

#[test]
fn origins_are_told() {
    let program = Program::new();
    let path = program.write("panda.toml", "vos = [\"Amber\"]\n[worker]\nslots = 3\n[server]\nlisten = \"127.0.0.1:7\"\n");
    let mut command = program.command(&["--config", path.to_str().unwrap(), "--data", "d", "--json", "config", "show", "--origin"]);
    command.env("PANDA_LISTEN", "127.0.0.1:8").env("PANDA_URL", "http://one").env("PANDA_URL_SSL", "http://two");
    let done = Program::finish(command);
    assert_eq!(done.code, 0, "{}", done.err);
    let shown: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(shown["vos"], json!({ "value": ["Amber"], "origin": { "file": path, "line": 1 } }));
    assert_eq!(shown["worker.slots"]["value"], 3);
    assert_eq!(shown["server.listen"], json!({ "value": "127.0.0.1:8", "origin": "$PANDA_LISTEN" }));
    assert_eq!(shown["client.server"], json!({ "value": "http://two", "origin": "$PANDA_URL_SSL" }));
    assert_eq!(shown["data"], json!({ "value": program.home.path().join("here/d"), "origin": "--data" }));
    assert_eq!(shown["worker.queue"], json!({ "value": "local", "origin": "default" }));
    assert_eq!(shown["client.vo"]["origin"], "unset");
}

#[test]
fn files_are_found_below_the_home_folder_and_paths_are_relative_to_them() {
    let program = Program::new();
    let folder = program.home.path().join(".config/panda");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("panda.toml"), "data = \"here\"\n").unwrap();
    let mut command = program.command(&["--json", "config", "show"]);
    command.env_remove("PANDA_DATA");
    let shown: Value = serde_json::from_str(&Program::finish(command).out).unwrap();
    assert_eq!(shown["data"]["value"], json!(folder.join("here")));
    std::fs::write(folder.join("panda.toml"), "data = \"~/there\"\n").unwrap();
    let mut command = program.command(&["--json", "config", "show"]);
    command.env_remove("PANDA_DATA");
    let shown: Value = serde_json::from_str(&Program::finish(command).out).unwrap();
    assert_eq!(shown["data"]["value"], json!(program.home.path().join("there")));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let program = Program::new();
    let text = program.ok(&["config", "show"]);
    let path = program.write("again.toml", &text);
    assert_eq!(program.ok(&["--config", path.to_str().unwrap(), "config", "show"]), text);
}

#[test]
fn plugins_are_shown_without_the_values_of_their_environment() {
    let program = Program::new();
    let text = "[plugin.keeper]\nkind = \"data\"\ncommand = \"python3\"\nargs = [\"keeper.py\", \"c.json\"]\nenv = [\"TOKEN=geheim\"]\ndir = \"far\"\n";
    let path = program.write("panda.toml", text);
    let shown = program.ok(&["--config", path.to_str().unwrap(), "config", "show"]);
    for line in
        ["[plugin.keeper]", "kind = \"data\"", "args = [\"keeper.py\",\"c.json\"]", "env = [\"TOKEN=***\"]", "deadline_s = 30", "calls = 8"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(!shown.contains("geheim"));
    let shown: Value = serde_json::from_str(&program.ok(&["--config", path.to_str().unwrap(), "--json", "config", "show"])).unwrap();
    assert_eq!(shown["plugin.keeper.dir"]["value"], json!(program.home.path().join("here/far")));
    assert_eq!(shown["plugin.keeper.kind"]["origin"]["line"], 2);
    assert!(program.ok(&["config", "show"]).contains("# [plugin.NAME]"));
}
