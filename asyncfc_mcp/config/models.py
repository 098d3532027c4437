"""The shape of the configuration: frozen models, every default. Reading files is `load`'s, meaning is `policy`'s."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Mode = Literal["auto", "async", "sync"]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
InlineWait = Seconds | Literal["auto"]
ServerPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error: in our own object a typing mistake must not pass unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolSettings(Strict):
    """What one tool may set; None means: as its server says."""

    mode: Mode | None = Field(default=None, description="`auto`, `async` or `sync` for this tool alone.")
    inline_wait_s: InlineWait | None = Field(default=None, description="Inline wait of this tool, in seconds.")
    timeout_s: Seconds | None = Field(default=None, description="Time-out of this tool, in seconds.")
    reads: tuple[str, ...] | None = Field(
        default=None, description="Label templates of what it reads; an empty list: conflicts with nothing."
    )
    writes: tuple[str, ...] | None = Field(default=None, description="Label templates of what it writes.")
    name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9_-]{1,40}$", description="The name that clients see, prefix and all."
    )


class SharedSettings(Strict):
    """What may stand at the top (as a default) and in each server; None means: as the level above says."""

    mode: Mode | None = Field(
        default=None, description="`auto`: inline wait, then a token. `async`: a token at once. `sync`."
    )
    inline_wait_s: InlineWait | None = Field(
        default=None,
        description="How long a call waits for its own result, in seconds; `auto`: about as long as a step of the "
        "model takes, as seen in its conversation.",
    )
    timeout_s: Seconds | None = Field(default=None, description="When a running call fails as timed out, in seconds.")
    cancel_grace_s: Seconds | None = Field(
        default=None, description="How long a cancelled or timed-out call keeps its labels, in seconds."
    )
    concurrency: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Calls that run at once on one server."
    )
    prefix: ServerPrefix | None = Field(
        default=None, description="Replaces the server's key in tool names; an empty text for none."
    )
    isolated: bool | None = Field(default=None, description="Puts the server's default label at `/<server>`.")
    trust: bool | None = Field(default=None, description="Whether the annotations of its tools count as labels.")
    restart_limit: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Attempts in a row that may fail before a server is given up; then only a call tries it again.",
    )
    structured: bool | None = Field(default=None, description="Keeps `structuredContent` and `outputSchema`.")
    include: tuple[str, ...] | None = Field(
        default=None, description="Only tools whose own name matches one of these globs."
    )
    exclude: tuple[str, ...] | None = Field(
        default=None, description="No tool whose own name matches one of these globs."
    )


class ServerSettings(SharedSettings):
    """The `asyncfc` object inside a server's entry."""

    tools: dict[str, ToolSettings] = Field(default_factory=dict, description="Settings by the tool's own name.")


Megabytes = Annotated[float, Field(gt=0, allow_inf_nan=False)]


FlowPolicy = Literal["allow", "ask", "deny"]


class FlowRule(Strict):
    """What may happen to values of one server in the arguments of another; see docs/security.md."""

    from_: str = Field(default="*", alias="from", description="The server that the value comes from, as a glob.")
    to: str = Field(default="*", description="The server that would get it, as a glob.")
    policy: FlowPolicy = Field(description="`ask` puts it to the user.")


class GatewaySettings(SharedSettings):
    """The `asyncfc` object at the top of the file: defaults for every server, and what only the gateway has."""

    store: str = Field(
        default="sqlite",
        repr=False,
        description=(
            "Where futures outlive the process: `sqlite` (a file in the user's state folder), `sqlite:///PATH`, or "
            "`memory` for nowhere. `redis://…` is not in this release."
        ),
    )
    store_values: bool = Field(
        default=True, description="Whether values and arguments are stored; if not, only how futures ended is."
    )
    store_max_mb: Megabytes = Field(
        default=1024, description="Megabytes of the store's file; over that the oldest settled futures go early."
    )
    schema_: Literal["union", "describe"] = Field(
        default="union", alias="schema", description="How input schemas say that a token may stand for a value."
    )
    wait_argument: bool = Field(default=True, description="Whether wrapped tools take `_wait_s`.")
    name_argument: bool = Field(default=True, description="Whether wrapped tools take `_as`.")
    embed: bool = Field(default=True, description="Whether `${fut_x}` is replaced inside longer strings.")
    piggyback: Literal["values", "notices", "off"] = Field(
        default="values", description="What later tool results carry of futures that have settled meanwhile."
    )
    order: Literal["observed", "strict"] = Field(
        default="observed", description="`strict` treats every label as declared."
    )
    max_unsettled: Annotated[int, Field(ge=1)] = Field(default=1000, description="Unsettled futures per scope.")
    max_unsettled_total: Annotated[int, Field(ge=1)] = Field(
        default=20_000, description="Unsettled futures of all scopes together."
    )
    max_running: Annotated[int, Field(ge=1)] = Field(
        default=512, description="Calls that run at once on all servers together; `concurrency` is for each server."
    )
    max_chain: Annotated[int, Field(ge=1)] = Field(
        default=1000, description="Calls in a row that each need the value of the one before, as long as none settled."
    )
    max_argument_mb: Megabytes = Field(
        default=16, description="Megabytes of one call's arguments, as sent and after tokens were replaced by values."
    )
    max_result_mb: Megabytes = Field(default=64, description="Megabytes of one result; a larger one fails its call.")
    max_kept_mb: Annotated[int, Field(ge=1)] = Field(
        default=512,
        description=(
            "Megabytes of values in memory; over that the largest are read from the store again when they are wanted, "
            "and without a store the oldest that were told are forgotten early."
        ),
    )
    await_cap_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="The longest wait inside one request, in seconds; unset: by the client that calls."
    )
    input_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=600.0, description="How long a question for the user stays open, in seconds; then its call fails."
    )
    on_unseen_failure: Literal["stop", "run"] = Field(
        default="stop", description="What a write does behind a failed write that the client has not been told of."
    )
    flows: tuple[FlowRule, ...] = Field(
        default=(), description="What may happen to values of one server in calls of another; the first rule counts."
    )
    audit: bool = Field(
        default=True, description="Whether each value that goes from one server to another is noted in `audit.jsonl`."
    )
    server_logs: bool = Field(
        default=True, description="Whether what a started server writes on stderr is kept for `asyncfc-mcp logs`."
    )
    metrics: bool = Field(
        default=False,
        description="Whether `/metrics` is there for Prometheus, where there is HTTP; needs the extra `metrics`.",
    )
    dashboard: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        default=None,
        description="The port of the dashboard beside stdio, on this machine alone; 0: any free one; unset: none. "
        "Over HTTP and SSE it is always at `/dashboard`.",
    )
    pin_tools: bool = Field(
        default=False, description="Whether tools that have changed after their first use are held until accepted."
    )
    tasks: Literal["hosts", "always", "off"] = Field(
        default="hosts",
        description=(
            "Who gets MCP tasks instead of tokens, of the clients that declare the extension: "
            "hosts known to put them into the background, all, or none."
        ),
    )
    ttl_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        default=86400.0, description="How long a settled future can be read, in seconds."
    )


class StdioEntry(BaseModel):
    """A server that we start; its children inherit our whole environment, plus `env`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    command: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict, repr=False)
    cwd: Path | None = None


class OAuthEntry(BaseModel):
    """What to tell a server's sign-in, where it does not find everything out by itself."""

    model_config = ConfigDict(frozen=True)

    client_id: str | None = None
    """Of a client that was registered by hand; None: register one as we sign in."""
    client_secret: str | None = Field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    """Empty: what the server asks for."""
    redirect_uri: str | None = None
    """Where on this machine the browser brings the answer; None: any free port of 127.0.0.1."""


class RemoteEntry(BaseModel):
    """A server that runs elsewhere."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)

    url: str = Field(repr=False)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    type: Literal["http", "sse"] = "http"
    oauth: OAuthEntry | None = OAuthEntry()
    """How to sign in when the server asks for it; None: never."""


class ServerEntry(BaseModel):
    """One server of the file, ready to connect to."""

    model_config = ConfigDict(frozen=True)

    key: str
    transport: StdioEntry | RemoteEntry
    settings: ServerSettings
    """Every field of `SharedSettings` filled in from the levels above and the defaults below."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes it this server and no other, as JSON; it holds secrets, so only a hash of it may be kept."""
        return {"key": self.key, "transport": self.transport.model_dump(mode="json")}


class GatewayConfig(BaseModel):
    """The whole of what the user asked for."""

    model_config = ConfigDict(frozen=True)

    servers: tuple[ServerEntry, ...]
    settings: GatewaySettings
    source: Path | None = None
    """The file it was read from; None for `serve -- COMMAND`."""


DEFAULTS = SharedSettings(
    mode="auto",
    inline_wait_s="auto",
    timeout_s=3600.0,
    cancel_grace_s=5.0,
    concurrency=64,
    prefix=None,
    isolated=False,
    trust=None,
    restart_limit=10,
    structured=False,
    include=("*",),
    exclude=(),
)
"""What holds where no level says anything. `prefix`: the server's key from a file, none with `serve -- COMMAND`;
`trust`: true for stdio servers, else false."""
