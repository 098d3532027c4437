from asyncfc_mcp.config.problems import ConfigurationError as ConfigurationError
from asyncfc_mcp.core.future import Failure as Failure
from asyncfc_mcp.core.future import FailureReason as FailureReason
from asyncfc_mcp.core.future import FutureState as FutureState
from asyncfc_mcp.embedding.engine import NotRunning as NotRunning
from asyncfc_mcp.embedding.engine import WrongLoop as WrongLoop
from asyncfc_mcp.embedding.future import CallFailed as CallFailed
from asyncfc_mcp.embedding.future import Future as Future
from asyncfc_mcp.embedding.future import WaitTimedOut as WaitTimedOut
from asyncfc_mcp.embedding.gateway import AlreadyRunning as AlreadyRunning
from asyncfc_mcp.embedding.gateway import Gateway as Gateway
from asyncfc_mcp.embedding.gateway import ScopeNameTooLong as ScopeNameTooLong
from asyncfc_mcp.embedding.plain import NotJson as NotJson
from asyncfc_mcp.embedding.scope import ForeignFuture as ForeignFuture
from asyncfc_mcp.embedding.scope import Scope as Scope
from asyncfc_mcp.embedding.values import Reference as Reference
from asyncfc_mcp.embedding.values import Result as Result
from asyncfc_mcp.embedding.values import Server as Server
from asyncfc_mcp.embedding.values import Tool as Tool
from asyncfc_mcp.errors import GatewayError as GatewayError
from asyncfc_mcp.gateway.future import Progress as Progress
from asyncfc_mcp.gateway.gateway import UnknownTool as UnknownTool
from asyncfc_mcp.gateway.table import UnknownToken as UnknownToken

__version__: str
