"""The guide names every function of libuv and libevent, and no function of ours that is not there.

The functions are read from the headers that are installed; without them it is a skip. What was tried, and is reported:

    mutation: `uv_fs_lutime`, `evbuffer_pullup` or `evtimer_pending` is taken out of the guide; `tg_udp_join` is
    called `tg_udp_member` there.
"""

import re

from .harness import HEADER, TOP, shown

GUIDE = TOP / "docs" / "guide"
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# A function as a program calls it: declared, or a macro with arguments. Not `name(*other)`, which is a type.
CALL = r"\b({prefix}_[a-z0-9]\w*)\s*\((?!\s*\*)"
SPAN = re.compile(r"`[^`\n]+`")
OURS = re.compile(r"\btg_\w+")
# What looks like a function of libevent and is a type of one.
TYPES = {"bufferevent_filter_result", "evhttp_bound_socket_foreach_fn"}

#: Library, chapter, what to include, which of the headers that this includes are its own, how its functions begin.
LIBRARIES = [
    ("libuv", "05-coming-from-libuv.md", ["uv.h"], r"/uv(\.h|/\w+\.h)$", "uv", "libuv1-dev"),
    ("libevent", "06-coming-from-libevent.md",
     ["event.h", "evdns.h", "evhttp.h", "evrpc.h", "evutil.h", "event2/bufferevent_ssl.h", "event2/listener.h",
      "event2/thread.h"], r"/(event2/\w+|event|ev(dns|http|rpc|util))\.h$",
     "(?:event|bufferevent|evbuffer|evconnlistener|evdns|evhttp|evkeyval|evrpc|evsignal|evtag|evthread|evtimer|evutil|"
     "ev_token_bucket|libevent|signal|timeout)", "libevent-dev"),
]


def headers_of(suite, includes, own):
    """The library's headers as the compiler finds them; none when it finds one of them nowhere."""
    named = [part for name in includes for part in ("-include", name)]
    result = suite.run(["cc", "-E", "-M", *named, "-xc", "/dev/null"])
    return [path for path in result.output.replace("\\\n", " ").split() if re.search(own, path)] if result.ok else []


def functions(paths, prefix):
    """What a program can call, in every branch of the headers: other systems' functions are named, too."""
    found = set()
    for path in paths:
        with open(path, errors="replace") as header:
            text = COMMENT.sub(" ", header.read())
        found.update(re.findall(CALL.format(prefix=prefix), text))
    return found - TYPES


def words(text):
    """The names in a document's code spans, whole ones only."""
    return {word for span in SPAN.findall(text) for word in re.findall(r"\w+", span)}


def documents():
    return [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md"))]


def strangers(path, known):
    """Names with our prefix that the header does not have. `tg_udp_…` stands for all that begin so."""
    for span in SPAN.findall(path.read_text()):
        for found in OURS.finditer(span):
            name = found.group()
            family = span[found.end():found.end() + 1] == "…" and any(each.startswith(name) for each in known)
            if name not in known and not family:
                yield f"{shown(path)}: {name}"


def run(suite):
    for library, chapter, includes, own, prefix, package in LIBRARIES:
        paths = headers_of(suite, includes, own)
        if not paths:
            suite.skip(f"every call of {library} in the guide", f"its headers are not installed (Debian: {package})")
            continue
        all_of_it = functions(paths, prefix)
        suite.check(f"{library}-has-functions", len(all_of_it) > 200, f"{len(all_of_it)} found in {paths}")
        suite.none_of(f"the-guide-names-every-call-of-{library}",
                      sorted(all_of_it - words((GUIDE / chapter).read_text())))
    known = set(OURS.findall(HEADER.read_text()))
    suite.none_of("documents-name-calls-that-exist", [each for path in documents() for each in strangers(path, known)])
