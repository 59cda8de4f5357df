"""Rust: formatting, clippy, and the tests of both crates."""

import re

TEST_LINE = re.compile(r"^test (.+?) \.\.\. (ok|FAILED|ignored)(?:, (.*))?$", re.MULTILINE)


def lint(suite):
    suite.command("fmt", ["cargo", "fmt", "--all", "--check", "--", "--color", "never"], 60)
    for name, features in (("clippy", []), ("clippy-all-features", ["--all-features"])):
        suite.command(name, ["cargo", "clippy", "--workspace", "--all-targets", "--locked", *features,
                             "--", "-D", "warnings"], 600)


def tests(suite, *arguments, seconds, prefix=""):
    """Counts the tests one by one, so that those that were ignored are named."""
    result = suite.run(["cargo", "test", "--locked", "--no-fail-fast", *arguments], seconds)
    failed = 0
    for name, outcome, reason in TEST_LINE.findall(result.output):
        if outcome == "ok":
            suite.ok(prefix + name)
        elif outcome == "ignored":
            suite.skip(prefix + name, reason or "ignored without a reason")
        else:
            failed += 1
            suite.fail(prefix + name, failure_text(result.output, name))
    if not result.ok and not failed:
        suite.fail(prefix + "cargo-test", result.tail())


def failure_text(output, name):
    """What a failed test printed, from libtest's own section for it."""
    begin = output.find(f"---- {name} stdout ----")
    if begin < 0:
        return ""
    end = output.find("\n\n", begin)
    return output[begin:end if end > 0 else None]


def run(suite):
    lint(suite)
    tests(suite, "--workspace", seconds=900)
    # The wait that kqueue and IOCP use, on Linux.
    portable = ("-p", "tidegate-reactor", "--features", "portable-wait", "--tests")
    tests(suite, *portable, seconds=900, prefix="portable-wait/")
    processes = ("-p", "tidegate-reactor", "--features", "portable-process", "--test", "processes")
    tests(suite, *processes, seconds=300, prefix="portable-process/")


def quick(suite):
    lint(suite)
    tests(suite, "--workspace", "--lib", seconds=120)
