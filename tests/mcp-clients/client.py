"""A client by the official SDK for Python, or by FastMCP: uses the role `tl`, and tells what it saw.

    client.py SDK MODE URL              over Streamable HTTP
    client.py SDK MODE COMMAND [ARG …]  over standard input and output

SDK is `mcp` or `fastmcp`, MODE `legacy` or `auto`. It writes one JSON a line: what it has found, and the tools
once they have changed.
"""

import asyncio
import json
import sys

import fastmcp
import mcp
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from mcp.client.stdio import StdioServerParameters


def say(what):
    print(json.dumps(what), flush=True)


def is_tools_changed(message):
    return "list_changed" in str(getattr(message, "method", getattr(getattr(message, "root", None), "method", "")))


async def use(client, raw):
    """`raw` gives the SDK's own result of a call."""
    tools = [tool.name for tool in await list_tools(client)]
    status = await raw("repo_status", {})
    wrong = await raw("recent_work", {"limit": "many"})
    coerced = await raw("recent_work", {"limit": "1"})
    try:
        await raw("no_such_tool", {})
        unknown = None
    except mcp.MCPError as error:
        unknown = error.error.code
    session = getattr(client, "session", client)
    say({
        "revision": session.protocol_version,
        "tools": tools,
        "branch": status.structured_content["branch"],
        "wrong": wrong.is_error,
        "coerced": not coerced.is_error,
        "unknown": unknown,
    })


async def list_tools(client):
    listed = await client.list_tools()
    return getattr(listed, "tools", listed)


async def with_mcp(mode, where):
    changed = asyncio.Event()

    async def handle(message):
        if is_tools_changed(message):
            changed.set()

    is_url = where[0].startswith("http")
    server = where[0] if is_url else StdioServerParameters(command=where[0], args=where[1:])
    async with mcp.Client(server, mode=mode, message_handler=handle) as client:
        await use(client, client.call_tool)
        if mode == "legacy":
            await changed.wait()
        else:
            async with client.listen(tools_list_changed=True) as subscription:
                say({"listening": True})
                async for _ in subscription:
                    break
        say({"changed": [tool.name for tool in await list_tools(client)]})


async def with_fastmcp(mode, where):
    is_url = where[0].startswith("http")
    transport = StreamableHttpTransport(where[0]) if is_url else StdioTransport(where[0], where[1:])
    async with fastmcp.Client(transport) as client:
        await use(client, client.call_tool_mcp)


sdk, mode, *where = sys.argv[1:]
asyncio.run({"mcp": with_mcp, "fastmcp": with_fastmcp}[sdk](mode, where))
