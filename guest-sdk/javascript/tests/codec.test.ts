import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { type Codec, CodecError, decode, encode } from "exomonad-guest";
import * as types from "exomonad-guest/types";

const codecs = types as unknown as Record<string, Codec<unknown>>;

test("a problem is told with its place", () => {
  const problem = (codec: Codec<never>, json: string) => {
    try {
      decode(codec, json);
      return "none";
    } catch (error) {
      assert.ok(error instanceof CodecError);
      return error.message;
    }
  };
  const of = (name: string) => codecs[name] as Codec<never>;
  assert.equal(problem(of("CallToolResult"), '{"content":[{"type":"text"}]}'), "$.content[0].text: missing");
  assert.equal(problem(of("CallToolResult"), '{"content":[{"type":"film"}]}'), "$.content[0].type: `film` is no Content");
  assert.equal(problem(of("Context"), '{"role":null,"callId":"1"}'), "$.role: expected a text, got null");
  assert.equal(problem(of("Completion"), '{"total":-1}'), "$.total: -1 is not between 0 and 18446744073709551615");
  assert.equal(problem(of("Completion"), '{"total":1.5}'), "$.total: 1.5 is not a whole number");
  assert.equal(problem(of("Completion"), "["), "$: Unexpected end of JSON input");
  assert.equal(problem(of("EmbeddedResource"), '{"uri":"a","blob":"?"}'), "$.blob: the text is not base64");
});

test("null is absence, absence is the default, and unknown fields are ignored", () => {
  assert.deepEqual(decode(types.Completion, '{"total":null,"new":1}'), { values: [], hasMore: false });
  assert.deepEqual(decode(types.WorkflowArrival, '{"value":null}'), { value: null });
});

test("whole numbers are exact at both ends", () => {
  const json = '{"values":[],"total":18446744073709551615,"hasMore":false}';
  const value = decode(types.Completion, json);
  assert.equal(value.total, 18446744073709551615n);
  assert.equal(encode(types.Completion, value), json);
  assert.throws(() => encode(types.Completion, { total: 2 ** 60 }), /use a bigint/);
});

test("every example of the reference is read and written again", () => {
  const reference = readFileSync(path.join(import.meta.dirname ?? "", "../../../../schema/EFFECTS.md"), "utf8");
  const sections = reference.split(/^### /m).slice(1);
  let examples = 0;
  for (const section of sections) {
    const name = section.slice(0, section.indexOf("\n"));
    const [request, answer] = Array.from(section.matchAll(/```json\n(.*)\n```/g), (found) => found[1] as string);
    const answers = /^Answer: `(\w+)`/m.exec(section)?.[1];
    if (!request || !answer || !answers) continue;
    const written = codecs[name]?.toJson(codecs[name].fromJson(JSON.parse(request)));
    assert.ok(covers(written, JSON.parse(request)), name);
    const { payload } = JSON.parse(answer);
    const again = codecs[answers]?.toJson(codecs[answers].fromJson(payload));
    assert.ok(covers(again, payload), name);
    examples += 1;
  }
  assert.ok(examples > 90, String(examples));
});

/** True if all of what is expected is there; defaults may be there as well. */
function covers(actual: unknown, expected: unknown): boolean {
  if (typeof expected !== "object" || expected === null) return actual === expected;
  return Object.entries(expected).every(([key, value]) => covers((actual as never)[key], value));
}
