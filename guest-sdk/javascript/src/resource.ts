/** Resources, and templates of resources. */

import { failureOf } from "./error.js";
import type {
  CompleteInput,
  CompleteResult,
  Context,
  EmbeddedResource,
  Icon,
  ListResourcesResult,
  ListResourceTemplatesResult,
  ReadResourceResult,
  Resource as ResourceListing,
} from "./generated/types.js";
import { stringify } from "./json.js";
import type { Prompt } from "./prompt.js";

/** The names of the variables of a template: `name` of `notes://{name}`. */
export type VariableOf<Uri extends string> = string extends Uri
  ? string
  : Uri extends `${string}{+${infer Name}}${infer Rest}`
    ? Name | VariableOf<Rest>
    : Uri extends `${string}{${infer Name}}${infer Rest}`
      ? Name | VariableOf<Rest>
      : never;

/** Completes a text of which the beginning is there, also by the other texts; the best first. */
export type Complete = (value: string, others: Record<string, string>) => string[];

/** What a resource's function returns: a text, bytes, anything as JSON, or nothing if there is no such resource. */
export type ResourceOutput = string | Uint8Array | object | null | undefined;

/** A resource, or all resources of a template. */
export interface Resource<Name extends string = never> {
  /** The address, or the template of addresses, `notes://{name}`; `{+name}` may have slashes. */
  uri: string;
  /** The name. */
  name: string;
  /** A display name for people. */
  title?: string;
  /** The content. */
  description?: string;
  /** The media type. */
  mimeType?: string;
  /** Pictures of it, the best first. */
  icons?: Icon[];
  /** Lists the resources of a template that there are. */
  list?(): ResourceListing[] | Promise<ResourceListing[]>;
  /** The functions that complete variables. */
  complete?: { [K in Name]?: Complete };
  /** The function, from the variables to the content. */
  read(
    variables: Record<Name, string>,
    of: { uri: string; context: Context },
  ): ResourceOutput | Promise<ResourceOutput>;
}

/** Defines a resource, or all resources of a template. */
export function defineResource<const Uri extends string>(
  definition: Resource<VariableOf<Uri>> & { uri: Uri },
): Resource<never> {
  return definition as unknown as Resource<never>;
}

function isTemplate(resource: Resource): boolean {
  return resource.uri.includes("{");
}

/** The resources of a plugin, in one page. */
export async function listResources(resources: readonly Resource[]): Promise<ListResourcesResult> {
  const listed: ResourceListing[] = [];
  try {
    for (const resource of resources) {
      if (resource.list) {
        listed.push(...(await resource.list()));
      } else if (!isTemplate(resource)) {
        const { uri, name, title, description, mimeType, icons } = resource;
        listed.push({ uri, name, title, description, mimeType, icons });
      }
    }
    return { resources: listed };
  } catch (error) {
    return { resources: [], error: failureOf(error) };
  }
}

/** The templates of a plugin, in one page. */
export function listTemplates(resources: readonly Resource[]): ListResourceTemplatesResult {
  return {
    resourceTemplates: resources.filter(isTemplate).map(({ uri, name, title, description, mimeType, icons }) => ({
      uriTemplate: uri,
      name,
      title,
      description,
      mimeType,
      icons,
    })),
  };
}

/** Reads a resource: by its own entry, or else by the first template that fits. */
export async function readResource(
  resources: readonly Resource[],
  uri: string,
  context: Context,
): Promise<ReadResourceResult> {
  const inOrder = [...resources.filter((one) => !isTemplate(one)), ...resources.filter(isTemplate)];
  for (const resource of inOrder) {
    const variables = variablesOf(resource.uri, uri);
    if (!variables) continue;
    try {
      const output = await resource.read(variables as never, { uri, context });
      if (output === undefined || output === null) break;
      return { contents: [contentOf(output, uri, resource.mimeType)] };
    } catch (error) {
      return { error: failureOf(error) };
    }
  }
  return { error: { code: "not_found", message: `there is no resource \`${uri}\`` } };
}

function contentOf(output: string | Uint8Array | object, uri: string, mimeType: string | undefined): EmbeddedResource {
  if (typeof output === "string") return { uri, mimeType: mimeType ?? "text/plain", text: output };
  if (output instanceof Uint8Array) return { uri, mimeType: mimeType ?? "application/octet-stream", blob: output };
  return { uri, mimeType: mimeType ?? "application/json", text: stringify(output) };
}

/** The variables by which a template (RFC 6570, `{name}` and `{+name}`) becomes this address. */
export function variablesOf(template: string, uri: string): Record<string, string> | undefined {
  const variables: Record<string, string> = {};
  let [rest, left] = [template, uri];
  for (let begin = rest.indexOf("{"); begin >= 0; begin = rest.indexOf("{")) {
    const end = rest.indexOf("}", begin);
    if (end < 0 || !left.startsWith(rest.slice(0, begin))) return undefined;
    left = left.slice(begin);
    const expression = rest.slice(begin + 1, end);
    rest = rest.slice(end + 1);
    // The text that comes next ends the variable.
    const next = rest.split("{", 1)[0];
    const length = next ? left.indexOf(next) : left.length;
    const value = left.slice(0, length);
    const mayHaveParts = expression.startsWith("+");
    if (length <= 0 || (!mayHaveParts && value.includes("/"))) return undefined;
    try {
      variables[mayHaveParts ? expression.slice(1) : expression] = decodeURIComponent(value);
    } catch {
      return undefined;
    }
    left = left.slice(length);
  }
  return rest === left ? variables : undefined;
}

/** Completes an argument of a prompt, or a variable of a resource. */
export function complete(
  resources: readonly Resource[],
  prompts: readonly Prompt[],
  input: CompleteInput,
): CompleteResult {
  const owners: { complete?: Record<string, Complete | undefined> }[] = [
    ...prompts.filter((one) => one.name === input.prompt),
    ...resources.filter((one) => one.uri === input.uriTemplate),
  ];
  for (const { complete } of owners) {
    const completed = complete && Object.hasOwn(complete, input.argument) ? complete[input.argument] : undefined;
    // The protocol has a hundred at most.
    if (completed) return { completion: { values: completed(input.value, input.arguments ?? {}).slice(0, 100) } };
  }
  return { completion: { values: [] } };
}
