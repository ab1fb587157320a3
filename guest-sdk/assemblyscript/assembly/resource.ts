/** Resources, and templates of resources. */

import {
  CompleteInput,
  CompleteResult,
  Completion,
  Context,
  EffectError,
  EmbeddedResource,
  ErrorCode,
  ListResourcesResult,
  ListResourceTemplatesResult,
  ReadResourceInput,
  ReadResourceResult,
  Resource as ResourceListing,
  ResourceTemplate,
} from "./generated/types";
import { JsonWriter } from "./json";
import { CompleteFunction, fail, inputReader, output } from "./plugin";
import { promptCompletion } from "./prompt";

/** The function of a resource, from its address and the variables of the template to its content. */
export type ReadFunction = (uri: string, variables: Map<string, string>, context: Context) => ReadResourceResult;

/** A resource, or all resources of a template, `notes://{name}`; `{+name}` may have slashes. */
export class Resource {
  /** A display name for people. */
  title: string | null = null;
  readonly completions: Map<string, CompleteFunction> = new Map();

  constructor(
    /** The address, or the template of addresses. */
    readonly uri: string,
    readonly name: string,
    /** The content. */
    readonly description: string,
    /** The media type. */
    readonly mimeType: string,
    readonly read: ReadFunction,
  ) {
    resources.push(this);
  }

  /** Completes a variable. */
  complete(variable: string, values: CompleteFunction): this {
    this.completions.set(variable, values);
    return this;
  }

  get isTemplate(): bool {
    return this.uri.includes("{");
  }
}

const resources: Array<Resource> = [];

/** A text as the content of a resource. */
export function textOf(uri: string, text: string, mimeType: string = "text/plain"): ReadResourceResult {
  const content = EmbeddedResource.of(uri);
  content.text = text;
  content.mimeType = mimeType;
  return contentOf(content);
}

/** Bytes as the content of a resource. */
export function bytesOf(uri: string, bytes: Uint8Array, mimeType: string): ReadResourceResult {
  const content = EmbeddedResource.of(uri);
  content.blob = bytes;
  content.mimeType = mimeType;
  return contentOf(content);
}

function contentOf(content: EmbeddedResource): ReadResourceResult {
  const result = new ReadResourceResult();
  result.contents.push(content);
  return result;
}

/** Says that there is no such resource. */
export function notFound(uri: string): ReadResourceResult {
  const result = new ReadResourceResult();
  result.error = EffectError.of(ErrorCode.NotFound, `there is no resource \`${uri}\``);
  return result;
}

/** The body of `handle_list_resources`. */
export function listResources(): i32 {
  const result = new ListResourcesResult();
  for (let at = 0; at < resources.length; at++) {
    const resource = resources[at];
    if (resource.isTemplate) continue;
    const listing = ResourceListing.of(resource.uri, resource.name);
    listing.title = resource.title;
    listing.description = resource.description;
    listing.mimeType = resource.mimeType;
    result.resources.push(listing);
  }
  const writer = new JsonWriter();
  result.write(writer);
  return output(writer);
}

/** The body of `handle_list_resource_templates`. */
export function listTemplates(): i32 {
  const result = new ListResourceTemplatesResult();
  for (let at = 0; at < resources.length; at++) {
    const resource = resources[at];
    if (!resource.isTemplate) continue;
    const listing = ResourceTemplate.of(resource.uri, resource.name);
    listing.title = resource.title;
    listing.description = resource.description;
    listing.mimeType = resource.mimeType;
    result.resourceTemplates.push(listing);
  }
  const writer = new JsonWriter();
  result.write(writer);
  return output(writer);
}

function found(input: ReadResourceInput): ReadResourceResult {
  // One of its own comes before a template.
  for (let turn = 0; turn < 2; turn++) {
    for (let at = 0; at < resources.length; at++) {
      const resource = resources[at];
      if (resource.isTemplate !== (turn === 1)) continue;
      const variables = variablesOf(resource.uri, input.uri);
      if (variables !== null) return resource.read(input.uri, variables, input.context);
    }
  }
  return notFound(input.uri);
}

/** The body of `handle_read_resource`. */
export function readResource(): i32 {
  const reader = inputReader();
  const input = ReadResourceInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const writer = new JsonWriter();
  found(input).write(writer);
  return output(writer);
}

/** The body of `handle_complete`. */
export function complete(): i32 {
  const reader = inputReader();
  const input = CompleteInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  let values: Array<string> = [];
  let isKnown = false;
  const uri = input.uriTemplate;
  const prompt = input.prompt;
  if (uri !== null) {
    for (let at = 0; at < resources.length && !isKnown; at++) {
      const resource = resources[at];
      if (resource.uri != uri || !resource.completions.has(input.argument)) continue;
      values = resource.completions.get(input.argument)(input);
      isKnown = true;
    }
  }
  if (prompt !== null && !isKnown) values = promptCompletion(prompt, input);
  const completion = new Completion();
  // The protocol has a hundred at most.
  completion.values = values.slice(0, 100);
  const writer = new JsonWriter();
  CompleteResult.of(completion).write(writer);
  return output(writer);
}

/** The variables by which a template (RFC 6570, `{name}` and `{+name}`) becomes this address. */
export function variablesOf(template: string, uri: string): Map<string, string> | null {
  const variables = new Map<string, string>();
  let rest = template;
  let left = uri;
  for (let begin = rest.indexOf("{"); begin >= 0; begin = rest.indexOf("{")) {
    const end = rest.indexOf("}", begin);
    if (end < 0 || !left.startsWith(rest.substring(0, begin))) return null;
    left = left.substring(begin);
    const expression = rest.substring(begin + 1, end);
    rest = rest.substring(end + 1);
    // The text that comes next ends the variable.
    const nextBegin = rest.indexOf("{");
    const next = nextBegin < 0 ? rest : rest.substring(0, nextBegin);
    const length = next.length > 0 ? left.indexOf(next) : left.length;
    if (length <= 0) return null;
    const mayHaveParts = expression.startsWith("+");
    const value = percentDecoded(left.substring(0, length));
    if (value === null || (!mayHaveParts && left.substring(0, length).includes("/"))) return null;
    variables.set(mayHaveParts ? expression.substring(1) : expression, value);
    left = left.substring(length);
  }
  return rest == left ? variables : null;
}

/** A text without `%20` and the like; nothing if what they stand for is no text. */
function percentDecoded(text: string): string | null {
  if (!text.includes("%")) return text;
  const from = Uint8Array.wrap(String.UTF8.encode(text));
  const bytes = new Uint8Array(from.length);
  let to = 0;
  for (let at = 0; at < from.length; at++) {
    if (from[at] !== 0x25) {
      bytes[to++] = from[at];
      continue;
    }
    if (at + 2 >= from.length) return null;
    const code = parseInt(String.fromCharCodes([from[at + 1], from[at + 2]]), 16);
    if (isNaN(code)) return null;
    bytes[to++] = code as u8;
    at += 2;
  }
  const decoded = String.UTF8.decode(bytes.buffer.slice(0, to));
  // What is not UTF-8 is written otherwise than it was read.
  const again = String.UTF8.encode(decoded);
  if (again.byteLength !== to || memory.compare(changetype<usize>(again), bytes.dataStart, to) !== 0) return null;
  return decoded;
}
