"""Pairs of calls that the packs of services, databases and browsers keep in order, and pairs that they let overlap."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.labels.test_packs import call, meet

Asked = tuple[str, str, Mapping[str, object]]
"""A pack, a tool of it, and arguments."""

MINE = {"owner": "ann", "repo": "site"}
YOURS = {"owner": "bob", "repo": "site"}

ORDERED: Mapping[str, tuple[Asked, Asked]] = {
    "two thoughts": (
        ("sequential-thinking", "sequentialthinking", {}),
        ("sequential-thinking", "sequentialthinking", {}),
    ),
    "an insert and a select": (("sqlite", "write_query", {}), ("sqlite", "read_query", {})),
    "a new table and the list of tables": (("sqlite", "create_table", {}), ("sqlite", "list_tables", {})),
    "a migration and a query of the same database": (
        ("supabase", "apply_migration", {}),
        ("postgres", "query", {}),
    ),
    "two servers before one database": (("postgres-pro", "execute_sql", {}), ("postgres", "query", {})),
    "a plan that runs its statement and a query": (("postgres-pro", "explain_query", {}), ("postgres", "query", {})),
    "a push and a file of the same repository": (("github", "push_files", MINE), ("github", "get_file_contents", MINE)),
    "a repository in two spellings": (
        ("github", "create_issue", MINE),
        ("github-npm", "create_issue", {"owner": "Ann", "repo": "Site"}),
    ),
    "a push to a fork and a pull request from it": (
        ("github", "push_files", MINE),
        ("github", "create_pull_request", YOURS),
    ),
    "a new branch of a fork and a pull request from it": (
        ("github", "create_branch", MINE),
        ("github", "create_pull_request", YOURS),
    ),
    "a push that closes an issue elsewhere": (("github", "push_files", MINE), ("github", "issue_read", YOURS)),
    "a closed sub-issue and its parent elsewhere": (("github", "issue_write", MINE), ("github", "issue_read", YOURS)),
    "an issue and a search for it": (("github", "create_issue", MINE), ("github", "search_issues", {})),
    "a git push and the pull request for it": (
        ("git-cyanheads", "git_push", {}),
        ("github", "create_pull_request", MINE),
    ),
    "a commit through one git server and a log through another": (
        ("git-cyanheads", "git_commit", {"path": "/repo/src"}),
        ("git", "git_log", {"repo_path": "/repo"}),
    ),
    "a note and a read of its file": (
        ("obsidian", "obsidian_append_content", {"filepath": "a.md"}),
        ("filesystem", "read_text_file", {"path": "/vault/a.md"}),
    ),
    "a click and whatever comes after it": (("playwright", "browser_click", {}), ("sqlite", "read_query", {})),
    "a change of a page's file and a look at the page": (
        ("filesystem", "write_file", {"path": "/site/index.html"}),
        ("playwright", "browser_snapshot", {}),
    ),
    "two looks at one browser": (("playwright", "browser_snapshot", {}), ("chrome-devtools", "take_snapshot", {})),
    "a screenshot and a read of its file": (
        ("playwright", "browser_take_screenshot", {"filename": "/out/a.png"}),
        ("filesystem", "read_media_file", {"path": "/out/a.png"}),
    ),
    "a click and a fetch": (("puppeteer", "puppeteer_click", {}), ("fetch", "fetch", {})),
    "a pipeline that may write and a find": (("mongodb", "aggregate", {}), ("mongodb", "find", {})),
    "a change of context and the next look": (("kubernetes", "kubectl_context", {}), ("kubernetes", "kubectl_get", {})),
    "a manifest and the file that it is in": (
        ("filesystem", "write_file", {"path": "/k8s/app.yaml"}),
        ("kubernetes", "kubectl_apply", {"filename": "/k8s/app.yaml"}),
    ),
    "two values of one key": (("redis", "set", {"key": "a"}), ("redis", "hget", {"name": "a"})),
    "a value and a scan": (("redis", "set", {"key": "a"}), ("redis", "scan_keys", {})),
    "a message and the channel's history": (
        ("slack", "slack_post_message", {"channel_id": "C1"}),
        ("slack-korotovsky", "conversations_history", {"channel_id": "#general"}),
    ),
    "a page and a search": (("notion", "API-post-page", {}), ("notion", "API-post-search", {})),
    "a file and its upload": (
        ("filesystem", "write_file", {"path": "/a.pdf"}),
        ("atlassian", "confluence_upload_attachment", {"file_path": "/a.pdf"}),
    ),
    "a write and a shell command": (
        ("desktop-commander", "write_file", {"path": "/a"}),
        ("desktop-commander", "start_process", {}),
    ),
    "an image that is pushed and the roll-out that pulls it": (
        ("docker", "push_image", {}),
        ("kubernetes", "kubectl_rollout", {}),
    ),
    "a query and the end of the container that may answer it": (
        ("postgres", "query", {}),
        ("docker", "stop_container", {}),
    ),
    "a query and the end of the pod that may answer it": (
        ("postgres", "query", {}),
        ("kubernetes", "kubectl_delete", {}),
    ),
    "a change and a page of this machine that may show it": (
        ("sqlite", "write_query", {}),
        ("desktop-commander", "read_file", {"path": "http://localhost:8000/", "isUrl": True}),
    ),
    "a changed source file and what the program that watches it says": (
        ("desktop-commander", "write_file", {"path": "/site/app.js"}),
        ("desktop-commander", "read_process_output", {"pid": 7}),
    ),
    "a statement and the log of the container that runs it": (
        ("postgres-pro", "execute_sql", {}),
        ("docker", "fetch_container_logs", {}),
    ),
    "a change and a page of this machine as markdown": (
        ("sqlite", "write_query", {}),
        ("markitdown", "convert_to_markdown", {"uri": "http://localhost:8000/"}),
    ),
    "a change and a compressed page of this machine": (
        ("sqlite", "write_query", {}),
        ("everything", "gzip-file-as-resource", {"data": "http://localhost:8000/"}),
    ),
    "a paper and the folder that it is put into": (
        ("arxiv", "download_paper", {"paper_id": "2605.15077"}),
        ("filesystem", "list_directory", {"path": "/papers"}),
    ),
    "an export and the folder that it is put into": (
        ("mongodb", "export", {}),
        ("filesystem", "list_directory", {"path": "/exports"}),
    ),
    "the same file through two servers": (
        ("desktop-commander", "edit_block", {"file_path": "/a/b"}),
        ("filesystem", "read_text_file", {"path": "/a/b"}),
    ),
}
FREE: Mapping[str, tuple[Asked, Asked]] = {
    "two selects": (("sqlite", "read_query", {}), ("sqlite", "read_query", {})),
    "a select and an insight": (("sqlite", "read_query", {}), ("sqlite", "append_insight", {})),
    "issues in two repositories": (("github", "create_issue", MINE), ("github", "create_issue", YOURS)),
    "two searches": (("github", "search_code", {}), ("github", "search_issues", {})),
    "a comment and a file elsewhere": (("github", "add_issue_comment", MINE), ("github", "get_file_contents", YOURS)),
    "a web search and a shell command": (
        ("brave-search", "brave_web_search", {}),
        ("desktop-commander", "start_process", {}),
    ),
    "two fetches": (("fetch", "fetch", {}), ("tavily", "tavily_extract", {})),
    "a search and a click": (("tavily", "tavily_search", {}), ("playwright", "browser_click", {})),
    "a snapshot and a message's history": (
        ("playwright", "browser_snapshot", {}),
        ("slack", "slack_get_channel_history", {}),
    ),
    "values of two keys": (("redis", "set", {"key": "a"}), ("redis", "set", {"key": "b"})),
    "a message and a page": (("slack", "slack_post_message", {}), ("notion", "API-post-page", {})),
    "a file and a change of a database": (
        ("desktop-commander", "read_file", {"path": "/a"}),
        ("sqlite", "write_query", {}),
    ),
    "a look at the cluster and a change of a database": (
        ("kubernetes", "kubectl_get", {}),
        ("sqlite", "write_query", {}),
    ),
    "a query and the files": (("postgres", "query", {}), ("filesystem", "write_file", {"path": "/a"})),
    "writes of two files": (
        ("desktop-commander", "write_file", {"path": "/a/b"}),
        ("desktop-commander", "write_file", {"path": "/a/c"}),
    ),
}


@pytest.mark.parametrize("pair", ORDERED)
def test_the_packs_keep_in_order(pair: str) -> None:
    (pack, tool, arguments), (other_pack, other_tool, other_arguments) = ORDERED[pair]
    assert meet(call(pack, tool, **arguments), call(other_pack, other_tool, **other_arguments))


@pytest.mark.parametrize("pair", FREE)
def test_the_packs_let_overlap(pair: str) -> None:
    (pack, tool, arguments), (other_pack, other_tool, other_arguments) = FREE[pair]
    assert not meet(call(pack, tool, **arguments), call(other_pack, other_tool, **other_arguments))
