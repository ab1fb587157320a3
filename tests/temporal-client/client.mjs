// A client by Temporal's SDK for TypeScript, with a codec as the SDK's examples have one: it starts `wait_for`, asks how
// far it is, signals it, and prints its result.
//
// Usage: PAYLOAD_KEY=BASE64 client.mjs ADDRESS TASK_QUEUE
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { deflateSync, inflateSync } from "node:zlib";
import { Client, Connection } from "@temporalio/client";
import protos from "@temporalio/proto";

const { Payload } = protos.temporal.api.common.v1;
const key = Buffer.from(process.env.PAYLOAD_KEY, "base64");
const text = (bytes) => Buffer.from(bytes ?? []).toString();
const encoded = (encoding, data, more = {}) => ({
  metadata: { encoding: Buffer.from(encoding), ...more },
  data,
});

const zlib = {
  encode: async (payloads) =>
    payloads.map((payload) => encoded("binary/zlib", deflateSync(Payload.encode(payload).finish()))),
  decode: async (payloads) =>
    payloads.map((payload) =>
      text(payload.metadata?.encoding) === "binary/zlib" ? Payload.decode(inflateSync(payload.data)) : payload,
    ),
};

const encryption = {
  encode: async (payloads) =>
    payloads.map((payload) => {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      const sealed = [nonce, cipher.update(Payload.encode(payload).finish()), cipher.final(), cipher.getAuthTag()];
      return encoded("binary/encrypted", Buffer.concat(sealed), { "encryption-key-id": Buffer.from("one") });
    }),
  decode: async (payloads) =>
    payloads.map((payload) => {
      if (text(payload.metadata?.encoding) !== "binary/encrypted") return payload;
      const data = Buffer.from(payload.data);
      const decipher = createDecipheriv("aes-256-gcm", key, data.subarray(0, 12));
      decipher.setAuthTag(data.subarray(-16));
      return Payload.decode(Buffer.concat([decipher.update(data.subarray(12, -16)), decipher.final()]));
    }),
};

const [address, taskQueue] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const client = new Client({ connection, dataConverter: { payloadCodecs: [zlib, encryption] } });
const handle = await client.workflow.start("wait_for", {
  args: [{ signal: "go" }],
  taskQueue,
  workflowId: "typescript",
});
// Before its first task there is nothing to tell.
const progress = () => handle.query("progress", {}).catch(() => undefined);
while ((await progress()) !== "waiting") {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await handle.signal("go", { cups: 3 });
console.log(JSON.stringify(await handle.result()));
await connection.close();
