import assert from "node:assert/strict";
import test from "node:test";
import { parseJson, stringifyJson } from "exomonad-guest";

test("whole numbers of 64 bits keep every digit", () => {
  const text = '{"a":[18446744073709551615,-9223372036854775808,9007199254740993],"b":9007199254740991}';
  assert.deepEqual(parseJson(text), {
    a: [18446744073709551615n, -9223372036854775808n, 9007199254740993n],
    b: 9007199254740991,
  });
  assert.equal(stringifyJson(parseJson(text)), text);
});

test("a double beyond 2^53 is not written as if its digits were exact", () => {
  assert.equal(stringifyJson(parseJson("[1.2345678901234567e19]")), "[1.2345678901234567e+19]");
});

test("the exact reader reads what JSON.parse reads", () => {
  const long = "1234567890123456789";
  for (const json of [
    "0",
    "-0.5e-3",
    ' [ ] ',
    '{ "a" : [ 1 , { } , "\\u00e9\\n" ] , "b" : null , "__proto__" : { "x" : true } }',
    '"\\"\\\\\\ud83d\\ude00"',
    "[[[false]],[]]",
  ]) {
    const value = parseJson(`[${json},${long}]`) as unknown[];
    assert.deepEqual(value[0], JSON.parse(json), json);
    assert.equal(value[1], BigInt(long));
  }
});

test("what is no JSON is refused, with and without long numbers", () => {
  for (const json of ["", "[", "[1,]", "{a:1}", '{"a"}', "01", "1.", "+1", "tru", '"\u0001"', '"\\x"', "[1 2]", "nul", "]", '"a']) {
    assert.throws(() => parseJson(json), SyntaxError, json);
    assert.throws(() => parseJson(`[1234567890123456789,${json}`), SyntaxError, json);
    if (json) assert.throws(() => parseJson(`${json} 1234567890123456789`), SyntaxError, json);
  }
});

test("nesting is bounded", () => {
  const nested = (depth: number, inner = "") => "[".repeat(depth) + inner + "]".repeat(depth);
  for (const inner of ["", "1234567890123456789"]) {
    assert.ok(parseJson(nested(128, inner)));
    assert.throws(() => parseJson(nested(129, inner)), /nested more than 128/);
  }
  const cycle: unknown[] = [1n];
  cycle.push(cycle);
  assert.throws(() => stringifyJson(cycle), /nested more than 128/);
});

test("half a surrogate pair becomes U+FFFD", () => {
  assert.equal(stringifyJson({ "\ud800": ["a\udc00", "😀"] }), '{"\uFFFD":["a\uFFFD","😀"]}');
});

test("__proto__ is a name as any other", () => {
  const value = parseJson('{"__proto__":{"admin":true},"n":1234567890123456789}') as Record<string, unknown>;
  assert.equal(value["admin"], undefined);
  assert.equal(stringifyJson(value), '{"__proto__":{"admin":true},"n":1234567890123456789}');
});
