/** JSON Schemas of objects, and what they describe. */

import { Json, JsonReader, JsonWriter } from "./json";

/** The kinds of fields. */
export const enum Kind {
  Text,
  Integer,
  Number,
  Boolean,
  List,
  Object,
  Any,
}

class Field {
  isRequired: bool = true;
  choices: Array<string> | null = null;
  items: string = "{}";

  constructor(
    readonly name: string,
    readonly kind: Kind,
    readonly description: string,
  ) {}
}

/** The schema of an object: `object().text("name", "The name.").integer("age", "…").optional()`. */
export class ObjectSchema {
  /** The fields, in their order. */
  readonly fields: Array<Field> = [];

  private add(name: string, kind: Kind, description: string): this {
    this.fields.push(new Field(name, kind, description));
    return this;
  }

  /** A text. */
  text(name: string, description: string = ""): this {
    return this.add(name, Kind.Text, description);
  }
  /** One of several texts. */
  choice(name: string, choices: Array<string>, description: string = ""): this {
    this.add(name, Kind.Text, description);
    this.fields[this.fields.length - 1].choices = choices;
    return this;
  }
  /** A whole number of 64 bits. */
  integer(name: string, description: string = ""): this {
    return this.add(name, Kind.Integer, description);
  }
  /** A number. */
  number(name: string, description: string = ""): this {
    return this.add(name, Kind.Number, description);
  }
  /** `true` or `false`. */
  boolean(name: string, description: string = ""): this {
    return this.add(name, Kind.Boolean, description);
  }
  /** A list of texts. */
  texts(name: string, description: string = ""): this {
    this.add(name, Kind.List, description);
    this.fields[this.fields.length - 1].items = '{"type":"string"}';
    return this;
  }
  /** A list of anything. */
  list(name: string, description: string = ""): this {
    return this.add(name, Kind.List, description);
  }
  /** An object of any fields. */
  object(name: string, description: string = ""): this {
    return this.add(name, Kind.Object, description);
  }
  /** Any JSON. */
  any(name: string, description: string = ""): this {
    return this.add(name, Kind.Any, description);
  }
  /** Lets the field that was added last be absent. */
  optional(): this {
    this.fields[this.fields.length - 1].isRequired = false;
    return this;
  }

  /** The schema as JSON. */
  json(): Json {
    const writer = new JsonWriter();
    writer.beginObject();
    writer.key("type");
    writer.string("object");
    writer.key("properties");
    writer.beginObject();
    let hasRequired = false;
    for (let at = 0; at < this.fields.length; at++) {
      const field = this.fields[at];
      hasRequired = hasRequired || field.isRequired;
      writer.key(field.name);
      writer.beginObject();
      const name = kindName(field.kind);
      if (name.length > 0) {
        writer.key("type");
        writer.string(name);
      }
      if (field.kind === Kind.List) {
        writer.key("items");
        writer.json(new Json(field.items));
      }
      const choices = field.choices;
      if (choices !== null) {
        writer.key("enum");
        writer.beginArray();
        for (let nth = 0; nth < choices.length; nth++) writer.string(choices[nth]);
        writer.endArray();
      }
      if (field.description.length > 0) {
        writer.key("description");
        writer.string(field.description);
      }
      writer.endObject();
    }
    writer.endObject();
    if (hasRequired) {
      writer.key("required");
      writer.beginArray();
      for (let at = 0; at < this.fields.length; at++) {
        if (this.fields[at].isRequired) writer.string(this.fields[at].name);
      }
      writer.endArray();
    }
    writer.key("additionalProperties");
    writer.bool(false);
    writer.endObject();
    return new Json(writer.toString());
  }

  /** Reads an object of this schema. What does not fit is the reader's problem. */
  read(reader: JsonReader): Arguments {
    const values = new Map<string, Json>();
    reader.beginObject();
    while (reader.nextKey()) {
      const key = reader.key;
      const field = this.find(key);
      if (field === null) {
        reader.fail("there is no such field");
        break;
      }
      const value = reader.json();
      if (!reader.failed && !fits(field, value)) reader.fail(`expected ${kindName(field.kind)}`);
      values.set(key, value);
    }
    for (let at = 0; at < this.fields.length; at++) {
      const field = this.fields[at];
      if (field.isRequired && !values.has(field.name)) reader.missing(field.name);
    }
    return new Arguments(values);
  }

  private find(name: string): Field | null {
    for (let at = 0; at < this.fields.length; at++) {
      if (this.fields[at].name == name) return this.fields[at];
    }
    return null;
  }
}

/** The schema of an object, without fields at first. */
export function object(): ObjectSchema {
  return new ObjectSchema();
}

function kindName(kind: Kind): string {
  switch (kind) {
    case Kind.Text:
      return "string";
    case Kind.Integer:
      return "integer";
    case Kind.Number:
      return "number";
    case Kind.Boolean:
      return "boolean";
    case Kind.List:
      return "array";
    case Kind.Object:
      return "object";
    default:
      return "";
  }
}

function fits(field: Field, value: Json): bool {
  const first = value.text.charCodeAt(0);
  const isNumber = first === 0x2d || (first >= 0x30 && first <= 0x39);
  switch (field.kind) {
    case Kind.Text: {
      const choices = field.choices;
      if (first !== 0x22) return false;
      const text = value.asText();
      return choices === null || (text !== null && choices.includes(text));
    }
    case Kind.Integer:
      return isNumber && !value.text.includes(".") && !value.text.includes("e") && !value.text.includes("E");
    case Kind.Number:
      return isNumber;
    case Kind.Boolean:
      return value.text == "true" || value.text == "false";
    case Kind.List:
      return first === 0x5b;
    case Kind.Object:
      return first === 0x7b;
    default:
      return true;
  }
}

/** An object that was read: the arguments of a tool or a prompt, the input of a workflow. */
export class Arguments {
  constructor(private readonly values: Map<string, Json>) {}

  /** True if the field is there. */
  has(name: string): bool {
    return this.values.has(name);
  }

  /** A field as it is written; null if it is not there. */
  json(name: string): Json {
    return this.values.has(name) ? this.values.get(name) : new Json();
  }

  /** A text; empty if it is not there. */
  text(name: string): string {
    const text = this.json(name).asText();
    return text === null ? "" : text;
  }

  /** A whole number; 0 if it is not there, or does not fit into 64 bits. */
  integer(name: string): i64 {
    return this.has(name) ? this.json(name).reader().i64() : 0;
  }

  /** A number; 0 if it is not there. */
  number(name: string): f64 {
    return this.has(name) ? this.json(name).reader().f64() : 0;
  }

  /** A boolean; false if it is not there. */
  boolean(name: string): bool {
    return this.json(name).text == "true";
  }

  /** The items of a list, as they are written. */
  list(name: string): Array<Json> {
    const items: Array<Json> = [];
    if (!this.has(name)) return items;
    const reader = this.json(name).reader();
    reader.beginArray();
    while (reader.nextItem()) items.push(reader.json());
    return items;
  }

  /** The items of a list of texts. */
  texts(name: string): Array<string> {
    const items = this.list(name);
    const texts: Array<string> = [];
    for (let at = 0; at < items.length; at++) {
      const text = items[at].asText();
      if (text !== null) texts.push(text);
    }
    return texts;
  }
}

/** An object to be written: `new JsonObject().text("name", name).integer("age", 1).json()`. */
export class JsonObject {
  private readonly writer: JsonWriter = new JsonWriter();

  constructor() {
    this.writer.beginObject();
  }

  text(name: string, value: string): this {
    this.writer.key(name);
    this.writer.string(value);
    return this;
  }
  integer(name: string, value: i64): this {
    this.writer.key(name);
    this.writer.integer<i64>(value);
    return this;
  }
  number(name: string, value: f64): this {
    this.writer.key(name);
    this.writer.f64(value);
    return this;
  }
  boolean(name: string, value: bool): this {
    this.writer.key(name);
    this.writer.bool(value);
    return this;
  }
  texts(name: string, values: Array<string>): this {
    this.writer.key(name);
    this.writer.beginArray();
    for (let at = 0; at < values.length; at++) this.writer.string(values[at]);
    this.writer.endArray();
    return this;
  }
  value(name: string, value: Json): this {
    this.writer.key(name);
    this.writer.json(value);
    return this;
  }

  /** The object, to which nothing more is added. */
  json(): Json {
    this.writer.endObject();
    return new Json(this.writer.toString());
  }
}
