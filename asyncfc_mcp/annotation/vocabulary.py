"""What words in the names of tools and arguments say about them.

A word stands in a set only if a careful reader would take it that way whatever tool it is found on; all others say
nothing, and a tool of which nothing is known stays at the root.
"""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READING = _words(
    """
    get list read search find fetch describe lookup retrieve check count status info inspect compare diff exists whoami
    """
)
"""Looks, and leaves everything as it is."""

READING_IF_SAID = _words(
    """
    show view preview browse scan summarize peek query analyze explain ask history log logs stats tree blame details
    related schema
    """
)
"""Looks, where the server calls the tool read-only as well: alone it may as well show something to somebody."""

CHANGING = _words(
    """
    create add update set delete remove write put post send insert append edit patch move rename copy upload save merge
    close reopen assign unassign mark archive unarchive restore reply comment star unstar upsert drop clear reset
    enable disable approve dismiss submit replace modify change overwrite truncate subscribe unsubscribe link unlink
    expire label react transition invite purge destroy erase resolve unresolve lock unlock
    """
)
"""Changes what the tool's own server keeps."""

FAR_REACHING = _words(
    """
    run exec execute eval evaluate start restart recreate launch spawn trigger invoke dispatch call stop kill terminate
    push pull clone sync deploy publish install uninstall build import export download checkout rebase connect
    disconnect login logout authenticate authorize configure register request navigate click press apply
    upgrade downgrade play pause resume toggle fix commit undo redo revert rollback flush drain prune forget cleanup
    refresh reindex rotate increment decrement bump swap acquire release reserve ack acknowledge notify ring wipe
    """
)
"""Sets something going, or carries things between places: what it touches is not said by its server."""

UNMISTAKABLE = _words(
    """
    create update delete remove write insert append edit replace modify overwrite truncate drop clear reset rename
    upload upsert purge destroy erase
    """
)
"""Of `CHANGING`, those that are hardly ever nouns: a name with one of them changes something, wherever it stands."""

_IN_DESCRIPTIONS = UNMISTAKABLE | _words(
    """
    mark send move save set consume add store acquire claim reserve book increment advance start trigger publish pay
    archive wipe lock unlock rotate refresh flush drain prune toggle merge close assign notify subscribe expire charge
    generate issue allocate lease
    """
)
CHANGING_FORMS = frozenset(
    form
    for verb in _IN_DESCRIPTIONS
    for stem in (verb.removesuffix("e"),)
    for form in (f"{verb}s", f"{stem}es", f"{stem}ing", f"{stem}ed")
)
"""As descriptions have them: `deletes`, `marking`."""

MANY_IN_ONE = _words("or and manage generic in out off on")
"""A name with one of these may mean more than its verb, such as `check_out`."""

USING_UP = _words(
    """
    next more pop poll dequeue consume receive queue stream subscription unread unreads session cursor
    new fresh temp temporary once otp token nonce lease turn free available
    """
)
"""What is read may be gone afterwards, or begin elsewhere the next time."""

OF_GIT = _words("git origin remote remotes upstream branch branches ref refs repo repository")
"""A `fetch` beside one of these changes the copy that it fetches into."""

STEERING = _words(
    """
    config configuration settings setting context environment env mode proxy network firewall system kernel driver
    service services daemon server machine vm instance package packages deployment cron keys signal
    """
)
"""What changes one of these changes how other tools work."""

PROGRAMS = _words("process processes terminal shell command commands console sandbox container pod script")
"""Runs programs, which may do anything."""

BROWSING = _words("click navigate hover screenshot")
"""A server with tools of two of these names steers a browser: what it shows can come from anywhere."""

INSTRUCTIONS = _words(
    """
    sql statement script code command commands cmd expression function pipeline program shell javascript python cypher
    graphql mutation actions args flags manifest jsonlogic jq eval
    """
)
"""An argument of such a name can say anything, also to change something."""

DATABASE = _words("sql sqlite postgres postgresql mysql mariadb database databases")
"""A `query` beside one of these words is a statement."""

PATHS = _words("path paths file files filename filepath filepaths filenames directory dir dirpath folder cwd localpath")
URLS = _words("url urls uri uris link links href website domain")
WRITTEN_TO = _words("filename output outputs save destination dest localpath target outfile")
"""Of arguments that name files, those that a reading tool may write to."""
FILES_IN_NAMES = _words("file files directory directories folder folders filesystem")

NAMES_OF_ONE = _words("id ids key name slug number")
"""An argument whose last word is one of these may say which of many things is meant."""

CHOICES = _words("method operation action actions mode subcommand command type op")
"""An argument of such a name with a list of values chooses what the tool does."""

SERVICES = {
    "github": ("github",),
    "gitlab": ("gitlab",),
    "git": ("git",),
    "slack": ("slack",),
    "jira": ("atlassian",),
    "confluence": ("atlassian",),
    "atlassian": ("atlassian",),
    "notion": ("notion",),
    "sentry": ("sentry",),
    "supabase": ("supabase", "postgres"),
    "figma": ("figma",),
    "redis": ("redis",),
    "mongodb": ("mongodb",),
    "mongo": ("mongodb",),
    "postgres": ("postgres",),
    "postgresql": ("postgres",),
    "sqlite": ("sqlite",),
    "arxiv": ("fs",),
    "docker": ("docker",),
    "kubernetes": ("kubernetes",),
    "kubectl": ("kubernetes",),
    "k8s": ("kubernetes",),
    "obsidian": ("fs",),
}
"""What packs call a service, so that two servers in front of one keep their order."""

RUNNING = frozenset({"docker", "kubernetes"})
"""Services that run programs: what these show and do may be anything, and what stands before them may need them."""

_WORD = re.compile(r"(?i:k8s)|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, however they are joined: `getHTTPFile`, `get-file`, `get_file`."""
    return tuple(word.lower() for word in _WORD.findall(name))
