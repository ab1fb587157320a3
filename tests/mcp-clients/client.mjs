// A client by the official SDK for TypeScript: uses the role `tl`, and tells what it saw.
//
//     client.mjs SDK MODE URL              over Streamable HTTP
//     client.mjs SDK MODE COMMAND [ARG …]  over standard input and output
//
// SDK is `v1` or `v2`, MODE `legacy` or `auto`. It writes one JSON a line: what it has found, and the tools once
// they have changed.

const modules = {
    v1: ["sdk/client/index.js", "sdk/client/streamableHttp.js", "sdk/client/stdio.js"],
    v2: ["client", "client/stdio"],
};
const [sdk, mode, ...where] = process.argv.slice(2);
const imported = await Promise.all(modules[sdk].map((name) => import(`@modelcontextprotocol/${name}`)));
const { Client, StreamableHTTPClientTransport, StdioClientTransport } = Object.assign({}, ...imported);

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const names = (tools) => tools.map((tool) => tool.name);

const transport = where[0].startsWith("http")
    ? new StreamableHTTPClientTransport(new URL(where[0]))
    : new StdioClientTransport({ command: where[0], args: where.slice(1), env: process.env });
// The transport is told which revision was negotiated.
transport.setProtocolVersion ??= (revision) => (transport.protocolVersion = revision);
const changed = new Promise((resolve, reject) => {
    const onChanged = (error, tools) => (error ? reject(error) : resolve(tools));
    globalThis.client = new Client(
        { name: "client.mjs", version: "1" },
        { versionNegotiation: { mode }, listChanged: { tools: { onChanged } } },
    );
});
await client.connect(transport);

const tools = names((await client.listTools()).tools);
const call = (name, args) => client.callTool({ name, arguments: args });
const status = await call("repo_status", {});
const wrong = await call("recent_work", { limit: "many" });
const coerced = await call("recent_work", { limit: "1" });
const unknown = await call("no_such_tool", {}).then(
    () => null,
    (error) => error.code,
);
say({
    revision: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? null,
    tools,
    branch: status.structuredContent.branch,
    wrong: wrong.isError,
    coerced: !coerced.isError,
    unknown,
});
say({ changed: names(await changed) });
await client.close();
