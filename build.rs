//! Sets the soname, and regenerates `include/tidegate.h` from the chapters in `src/`.
//!
//! The header is committed. It is written only when it differs; with TIDEGATE_HEADER_CHECK=1 a difference is an error
//! instead.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    link_arguments();
    #[cfg(feature = "header")]
    header::regenerate();
}

/// Linux: a soname that changes with the ABI, and no unloading, which Rust's thread-local destructors would not survive.
fn link_arguments() {
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    if !linux {
        return;
    }
    // cargo-c sets its own soname.
    if std::env::var_os("CARGO_FEATURE_CAPI").is_none() {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libtidegate.so.0");
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}

#[cfg(feature = "header")]
mod header {
    use std::fmt::Write;
    use std::path::Path;

    mod table {
        include!("reactor/src/base/error_table.rs");
    }

    /// The chapters in their order: file, title, and what stands before the declarations.
    const CHAPTERS: &[(&str, &str)] = &[
        ("types.rs", "Types"),
        ("error.rs", "Errors"),
        ("version.rs", "Version and process"),
        ("event_loop.rs", "The loop"),
        ("event_loop/owners.rs", "Loops, threads and forks"),
        ("event_loop/nesting.rs", "A loop inside another one"),
        ("event_loop/contents.rs", "What is open in a loop"),
        ("handle.rs", "What all handles have"),
        ("io.rs", "Watching descriptors"),
        ("timer.rs", "Timers"),
        ("signal.rs", "Signals"),
        ("asyncs.rs", "Other threads"),
        ("hooks.rs", "Hooks of the turn"),
        ("work.rs", "Work on other threads"),
        ("address.rs", "Addresses"),
        ("conn/options.rs", "Connections: how they behave"),
        ("conn/open.rs", "Connections"),
        ("conn/write.rs", "Connections: writing"),
        ("conn/flow.rs", "Connections: reading, pausing, ending"),
        ("conn/settings.rs", "Connections: settings and counters"),
        ("listener.rs", "Listeners"),
        ("rate.rs", "Rate limits"),
        ("group.rs", "Groups of loops"),
        ("udp.rs", "Datagrams"),
        ("udp/send.rs", "Sending datagrams"),
        ("udp/settings.rs", "Settings of sockets for datagrams"),
        ("batch.rs", "Batches: events as records"),
        ("poller.rs", "The poller"),
        ("poller/once.rs", "Waiting once"),
        ("resolve.rs", "Looking up names"),
        ("file.rs", "Files"),
        ("file/operations.rs", "Operations on open files"),
        ("file/path.rs", "Operations on names of files"),
        ("process.rs", "Processes"),
        ("watch.rs", "Watching files"),
    ];

    const HEADER: &str = "include/tidegate.h";

    pub(super) fn regenerate() {
        println!("cargo:rerun-if-changed=src");
        println!("cargo:rerun-if-changed=cbindgen.toml");
        println!("cargo:rerun-if-changed=reactor/src/base/error_table.rs");
        println!("cargo:rerun-if-changed={HEADER}");
        println!("cargo:rerun-if-env-changed=TIDEGATE_HEADER_CHECK");
        let fresh = generate();
        let committed = std::fs::read_to_string(HEADER).unwrap_or_default();
        if fresh == committed {
            return;
        }
        assert!(
            std::env::var_os("TIDEGATE_HEADER_CHECK").is_none(),
            "{HEADER} is stale: build without TIDEGATE_HEADER_CHECK and commit it"
        );
        std::fs::write(HEADER, fresh).expect("the header can be written");
    }

    fn generate() -> String {
        let mut text = include_str!("include/conventions.h.in").replace("@VERSION_MACROS@", &version_macros());
        for (file, title) in CHAPTERS {
            write!(text, "\n/* {} {title} {} */\n\n", rule(4), rule(70 - title.len())).expect("memory");
            if *file == "error.rs" {
                text.push_str(&error_macros());
            }
            text.push_str(chapter(file).trim());
            text.push('\n');
        }
        text.push_str(include_str!("include/epilogue.h.in"));
        text
    }

    fn rule(length: usize) -> String {
        "-".repeat(length)
    }

    fn chapter(file: &str) -> String {
        let config = cbindgen::Config::from_file("cbindgen.toml").expect("cbindgen.toml is valid");
        let mut builder = cbindgen::Builder::new().with_config(config).with_src(Path::new("src").join(file));
        // No function of these chapters uses them, and they would be left out.
        let unused: &[&str] = match file {
            "types.rs" => {
                &["tg_fd", "tg_handle", "tg_loop", "tg_poller", "tg_group", "tg_release_cb", "tg_buffer", "tg_free_cb"]
            }
            "conn/options.rs" => &["tg_conn_options"],
            "udp.rs" => &["tg_datagram_header"],
            _ => &[],
        };
        for name in unused {
            builder = builder.include_item(*name);
        }
        let bindings = builder.generate().unwrap_or_else(|error| panic!("the header of src/{file}: {error}"));
        let mut text = Vec::new();
        bindings.write(&mut text);
        tidy(&String::from_utf8(text).expect("UTF-8"))
    }

    /// Leaves out what only Rust needs and writes short comments on one line.
    fn tidy(text: &str) -> String {
        let mut out: Vec<String> = Vec::new();
        let (mut in_safety, mut in_prototype) = (false, false);
        for line in text.lines() {
            in_safety = (in_safety || line.trim() == "* # Safety") && line.trim() != "*/";
            if in_safety {
                continue;
            }
            let line = c_names(&line.replace('`', ""));
            if line.trim() == "*/" {
                end_comment(&mut out, line);
            } else if out.last().is_some_and(|last| last == "TG_API") {
                out.pop();
                in_prototype = !line.ends_with(';');
                out.push(format!("TG_API {line}"));
            } else if in_prototype {
                in_prototype = !line.ends_with(';');
                out.push(format!("       {line}"));
            } else {
                out.push(unsigned(line));
            }
        }
        out.join("\n")
    }

    /// Drops empty lines at the comment's end, and folds it when one line is all it has.
    fn end_comment(out: &mut Vec<String>, end: String) {
        while out.last().is_some_and(|last| last.trim() == "*") {
            out.pop();
        }
        let count = out.len();
        if count >= 2 && out[count - 2].trim() == "/**" {
            let text = out.pop().unwrap_or_default();
            let start = out.pop().unwrap_or_default();
            out.push(format!("{start} {} */", text.trim().trim_start_matches("* ")));
        } else {
            out.push(end);
        }
    }

    /// Parameters whose names had to avoid Rust's keywords.
    fn c_names(line: &str) -> String {
        let mut line = line.to_owned();
        for (rust, c) in [("loop_", "loop"), ("self_", "self"), ("async_", "async")] {
            for end in [",", ")"] {
                line = line.replace(&format!(" {rust}{end}"), &format!(" {c}{end}"));
            }
        }
        line
    }

    /// Every constant is a uint32_t.
    fn unsigned(line: String) -> String {
        let is_number = line.starts_with("#define TG_") && line.ends_with(|last: char| last.is_ascii_digit());
        if is_number { format!("{line}u") } else { line }
    }

    fn version_macros() -> String {
        let part = |name: &str| std::env::var(format!("CARGO_PKG_VERSION_{name}")).expect("cargo sets it");
        let (major, minor, patch) = (part("MAJOR"), part("MINOR"), part("PATCH"));
        format!(
            "/** The header's version: the part that changes when programs must be changed. */\n\
             #define TG_VERSION_MAJOR {major}\n\
             /** The part that changes when something is added. */\n\
             #define TG_VERSION_MINOR {minor}\n\
             /** The part that changes when something is mended. */\n\
             #define TG_VERSION_PATCH {patch}\n\
             /** The header's version as a text; tg_version() is the library's. */\n\
             #define TG_VERSION \"{major}.{minor}.{patch}\"\n\
             /** The header's version as a number that grows; tg_version_number() is the library's. */\n\
             #define TG_VERSION_NUMBER ((TG_VERSION_MAJOR << 16) | (TG_VERSION_MINOR << 8) | TG_VERSION_PATCH)"
        )
    }

    fn error_macros() -> String {
        let mut text = String::new();
        for (code, name, meaning) in table::ERROR_TABLE {
            let (first, rest) = meaning.split_at(1);
            write!(text, "/** {}{rest}. */\n#define {name} ({code})\n", first.to_uppercase()).expect("memory");
        }
        text.push('\n');
        text
    }
}
