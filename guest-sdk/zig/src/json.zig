//! JSON: a reader that checks what it skips, and decoding, encoding and JSON Schemas of types by reflection.
//!
//! The reader nests at most 128 deep and refuses text that is not UTF-8. Integers are exact, and a `Json` stays as it
//! was written. A struct's field that has a default may be absent, and is left out when it has that value.
//!
//! A type may say more of itself:
//!
//! - `json_names`: the names of fields, constants or alternatives that differ: `.{ .user_id = "userId" }`.
//! - `descriptions`: what JSON Schemas say of its fields: `.{ .name = "The name." }`.
//! - `json_tag` and `json_payload`: where a union has its tag, and its payload if that is not beside the tag.

const std = @import("std");
const Allocator = std.mem.Allocator;

/// The deepest nesting of objects and lists that is read.
pub const max_nesting = 128;

/// Any JSON, as it was written.
pub const Json = struct {
    /// The JSON text.
    text: []const u8 = "null",

    /// The JSON of a value.
    pub fn of(allocator: Allocator, value: anytype) Allocator.Error!Json {
        return .{ .text = try encode(allocator, value) };
    }

    /// True if it is `null`.
    pub fn isNull(self: Json) bool {
        return std.mem.eql(u8, self.text, "null");
    }
};

/// Bytes; base64 in JSON.
pub const Bytes = struct {
    data: []const u8 = "",
};

/// A map from texts, in the order in which it is written.
pub fn Map(comptime T: type) type {
    return struct {
        entries: []const Entry = &.{},

        pub const Value = T;
        pub const Entry = struct { key: []const u8, value: T };

        /// The value of a key.
        pub fn get(self: @This(), key: []const u8) ?T {
            for (self.entries) |entry| {
                if (std.mem.eql(u8, entry.key, key)) return entry.value;
            }
            return null;
        }
    };
}

/// Invalid JSON, or JSON that does not fit; `Reader.problem` says where and why.
pub const Error = error{Invalid} || Allocator.Error;

/// A place in a value, for messages.
const Path = struct {
    up: ?*const Path,
    key: ?[]const u8 = null,
    index: usize = 0,
};

/// A text that is being read.
pub const Reader = struct {
    allocator: Allocator,
    text: []const u8,
    at: usize = 0,
    nesting: usize = 0,
    path: ?*const Path = null,
    /// Where it does not fit, and why: `$.items[3].name: missing`.
    problem: []const u8 = "",

    pub fn fail(self: *Reader, comptime format: []const u8, arguments: anytype) Error {
        if (self.problem.len > 0) return error.Invalid;
        var text: Text = .empty;
        try writePath(self.allocator, &text, self.path);
        const message = try std.fmt.allocPrint(self.allocator, ": " ++ format, arguments);
        try text.appendSlice(self.allocator, message);
        self.problem = text.items;
        return error.Invalid;
    }

    fn expected(self: *Reader, what: []const u8) Error {
        return self.fail("expected {s}, found {s}", .{ what, switch (self.peek()) {
            '{' => "an object",
            '[' => "a list",
            '"' => "a text",
            't', 'f' => "a boolean",
            'n' => "null",
            0 => "nothing",
            '-', '0'...'9' => "a number",
            else => "no JSON",
        } });
    }

    /// The next character that is no space; 0 at the end.
    pub fn peek(self: *Reader) u8 {
        while (self.at < self.text.len) : (self.at += 1) {
            switch (self.text[self.at]) {
                ' ', '\n', '\r', '\t' => {},
                else => |character| return character,
            }
        }
        return 0;
    }

    /// Reads this character if it comes next.
    pub fn take(self: *Reader, character: u8) bool {
        if (self.peek() != character or self.at == self.text.len) return false;
        self.at += 1;
        return true;
    }

    fn takeWord(self: *Reader, word: []const u8) bool {
        _ = self.peek();
        if (!std.mem.startsWith(u8, self.text[self.at..], word)) return false;
        self.at += word.len;
        return true;
    }

    /// Begins a list or an object.
    pub fn open(self: *Reader, bracket: u8) Error!void {
        if (!self.take(bracket)) return self.expected(if (bracket == '{') "an object" else "a list");
        self.nesting += 1;
        if (self.nesting > max_nesting) return self.fail("nested deeper than {d}", .{max_nesting});
    }

    /// True if another item follows.
    pub fn more(self: *Reader, bracket: u8, first: *bool) Error!bool {
        if (self.take(bracket)) {
            self.nesting -= 1;
            return false;
        }
        if (!first.* and !self.take(',')) return self.fail("a comma is missing, or a bracket", .{});
        first.* = false;
        return true;
    }

    /// Reads a key and its colon.
    pub fn key(self: *Reader) Error![]const u8 {
        if (self.peek() != '"') return self.expected("a key");
        const name = try self.string();
        if (!self.take(':')) return self.fail("a colon is missing", .{});
        return name;
    }

    /// Reads a text.
    pub fn string(self: *Reader) Error![]const u8 {
        if (!self.take('"')) return self.expected("a text");
        const begin = self.at;
        // Most texts have no escapes, and stay where they are.
        const plain = try self.run();
        if (plain) return self.text[begin .. self.at - 1];
        var decoded: Text = .empty;
        try decoded.appendSlice(self.allocator, self.text[begin..self.at]);
        while (true) {
            try self.escape(&decoded);
            const next = self.at;
            const ends = try self.run();
            try decoded.appendSlice(self.allocator, self.text[next .. self.at - @intFromBool(ends)]);
            if (ends) return decoded.items;
        }
    }

    /// Reads characters up to an escape, or up to and with the last quote: then it is true.
    fn run(self: *Reader) Error!bool {
        while (self.at < self.text.len) {
            switch (self.text[self.at]) {
                '"' => {
                    self.at += 1;
                    return true;
                },
                '\\' => return false,
                0...0x1f => return self.fail("a control character in a text", .{}),
                0x80...0xff => |byte| {
                    const length = std.unicode.utf8ByteSequenceLength(byte) catch 5;
                    if (self.at + length > self.text.len or
                        !std.unicode.utf8ValidateSlice(self.text[self.at..][0..length]))
                        return self.fail("the text is not UTF-8", .{});
                    self.at += length;
                },
                else => self.at += 1,
            }
        }
        return self.fail("the text does not end", .{});
    }

    /// Reads an escape, and decodes it if a text is given.
    fn escape(self: *Reader, into: ?*Text) Error!void {
        if (self.at + 2 > self.text.len) return self.fail("the text does not end", .{});
        const letter = self.text[self.at + 1];
        self.at += 2;
        var utf8: [4]u8 = undefined;
        var length: usize = 1;
        switch (letter) {
            '"', '\\', '/' => utf8[0] = letter,
            'b' => utf8[0] = 8,
            'f' => utf8[0] = 12,
            'n' => utf8[0] = '\n',
            'r' => utf8[0] = '\r',
            't' => utf8[0] = '\t',
            'u' => {
                var point: u21 = self.hex4() orelse return self.fail("an escape that is none", .{});
                if (point >= 0xD800 and point <= 0xDFFF) {
                    const low: ?u16 = if (std.mem.startsWith(u8, self.text[self.at..], "\\u")) low: {
                        self.at += 2;
                        break :low self.hex4() orelse return self.fail("an escape that is none", .{});
                    } else null;
                    if (low == null or point > 0xDBFF or low.? < 0xDC00 or low.? > 0xDFFF) {
                        // In JSON that is only passed on a lone surrogate is as harmless as any other escape.
                        if (into != null) return self.fail("a surrogate that stands alone", .{});
                        if (low != null) self.at -= 6;
                        return;
                    }
                    point = 0x10000 + ((point - 0xD800) << 10) + (low.? - 0xDC00);
                }
                length = std.unicode.utf8Encode(point, &utf8) catch unreachable;
            },
            else => return self.fail("an escape that is none", .{}),
        }
        if (into) |text| try text.appendSlice(self.allocator, utf8[0..length]);
    }

    fn hex4(self: *Reader) ?u16 {
        if (self.at + 4 > self.text.len) return null;
        var unit: u16 = 0;
        for (self.text[self.at..][0..4]) |digit| {
            unit = unit * 16 + (std.fmt.charToDigit(digit, 16) catch return null);
        }
        self.at += 4;
        return unit;
    }

    /// Reads a number and leaves it as it was written.
    pub fn number(self: *Reader) Error![]const u8 {
        _ = self.peek();
        const begin = self.at;
        if (self.here() == '-') self.at += 1;
        switch (self.here()) {
            '0' => self.at += 1,
            '1'...'9' => _ = self.digits(),
            else => {
                self.at = begin;
                return self.expected("a number");
            },
        }
        if (self.here() == '.') {
            self.at += 1;
            if (self.digits() == 0) return self.fail("a number that ends too early", .{});
        }
        if (self.here() == 'e' or self.here() == 'E') {
            self.at += 1;
            if (self.here() == '+' or self.here() == '-') self.at += 1;
            if (self.digits() == 0) return self.fail("a number that ends too early", .{});
        }
        return self.text[begin..self.at];
    }

    fn here(self: *Reader) u8 {
        return if (self.at < self.text.len) self.text[self.at] else 0;
    }

    fn digits(self: *Reader) usize {
        const begin = self.at;
        while (self.here() >= '0' and self.here() <= '9') self.at += 1;
        return self.at - begin;
    }

    /// Reads over any value, checking it, and returns it as it was written.
    pub fn skip(self: *Reader) Error![]const u8 {
        _ = self.peek();
        const begin = self.at;
        // The brackets that are open: without recursion, whatever nests.
        var is_object: [max_nesting]bool = undefined;
        var depth: usize = 0;
        value: while (true) {
            switch (self.peek()) {
                '"' => try self.skipString(),
                '{', '[' => |bracket| {
                    self.at += 1;
                    if (self.nesting + depth + 1 > max_nesting)
                        return self.fail("nested deeper than {d}", .{max_nesting});
                    is_object[depth] = bracket == '{';
                    depth += 1;
                    if (self.peek() != bracket + 2) {
                        if (bracket == '{') try self.skipKey();
                        continue :value;
                    }
                },
                't', 'f' => if (!self.takeWord("true") and !self.takeWord("false")) return self.expected("a value"),
                'n' => if (!self.takeWord("null")) return self.expected("a value"),
                else => _ = try self.number(),
            }
            while (depth > 0) {
                const object = is_object[depth - 1];
                if (self.take(if (object) '}' else ']')) {
                    depth -= 1;
                    continue;
                }
                if (!self.take(',')) return self.fail("a comma is missing, or a bracket", .{});
                if (object) try self.skipKey();
                continue :value;
            }
            return self.text[begin..self.at];
        }
    }

    fn skipString(self: *Reader) Error!void {
        if (!self.take('"')) return self.expected("a key");
        while (!try self.run()) try self.escape(null);
    }

    fn skipKey(self: *Reader) Error!void {
        try self.skipString();
        if (!self.take(':')) return self.fail("a colon is missing", .{});
    }

    /// Fails if anything but space is left.
    pub fn end(self: *Reader) Error!void {
        if (self.peek() != 0 or self.at != self.text.len) return self.fail("something follows the value", .{});
    }

    /// Reads a value of a type.
    pub fn value(self: *Reader, comptime T: type) Error!T {
        if (T == Json) return .{ .text = try self.skip() };
        if (T == Bytes) return self.bytes();
        if (T == []const u8) return self.string();
        switch (@typeInfo(T)) {
            .bool => {
                if (self.takeWord("true")) return true;
                if (self.takeWord("false")) return false;
                return self.expected("true or false");
            },
            .int => {
                const text = try self.number();
                return std.fmt.parseInt(T, text, 10) catch |problem| switch (problem) {
                    error.Overflow => self.fail("the number is too large or too small", .{}),
                    error.InvalidCharacter => self.fail("expected a whole number, found a fraction", .{}),
                };
            },
            .float => {
                const text = try self.number();
                const parsed = std.fmt.parseFloat(T, text) catch return self.fail("no number", .{});
                if (!std.math.isFinite(parsed)) return self.fail("the number is too large", .{});
                return parsed;
            },
            .optional => |optional| return if (self.takeWord("null")) null else try self.value(optional.child),
            .pointer => |pointer| if (pointer.size == .slice) return self.list(pointer.child) else {
                const held = try self.allocator.create(pointer.child);
                held.* = try self.value(pointer.child);
                return held;
            },
            .@"enum" => {
                const name = try self.string();
                inline for (comptime std.meta.fieldNames(T)) |constant| {
                    if (std.mem.eql(u8, name, comptime nameOf(T, constant))) return @field(T, constant);
                }
                return self.fail("not one of the constants: {s}", .{name});
            },
            .@"union" => return self.alternative(T),
            .@"struct" => return if (@hasDecl(T, "Entry")) self.map(T) else self.record(T),
            .void => {
                _ = try self.skip();
                return {};
            },
            else => @compileError("no JSON of " ++ @typeName(T)),
        }
    }

    fn list(self: *Reader, comptime T: type) Error![]const T {
        var items: std.ArrayList(T) = .empty;
        var first = true;
        try self.open('[');
        var place: Path = .{ .up = self.path };
        self.path = &place;
        while (try self.more(']', &first)) {
            place.index = items.items.len;
            try items.append(self.allocator, try self.value(T));
        }
        self.path = place.up;
        return items.items;
    }

    fn map(self: *Reader, comptime T: type) Error!T {
        var entries: std.ArrayList(T.Entry) = .empty;
        var first = true;
        try self.open('{');
        var place: Path = .{ .up = self.path };
        while (try self.more('}', &first)) {
            const name = try self.key();
            place.key = name;
            self.path = &place;
            const entry: T.Entry = .{ .key = name, .value = try self.value(T.Value) };
            self.path = place.up;
            // Of a key that is there twice the last one counts.
            for (entries.items) |*other| {
                if (std.mem.eql(u8, other.key, name)) {
                    other.* = entry;
                    break;
                }
            } else try entries.append(self.allocator, entry);
        }
        return .{ .entries = entries.items };
    }

    fn record(self: *Reader, comptime T: type) Error!T {
        const fields = comptime fieldsOf(T);
        var result: T = undefined;
        var seen: [fields.len + 1]bool = @splat(false);
        var first = true;
        try self.open('{');
        var place: Path = .{ .up = self.path };
        while (try self.more('}', &first)) {
            const name = try self.key();
            place.key = name;
            self.path = &place;
            inline for (fields, 0..) |field, nth| {
                if (std.mem.eql(u8, name, comptime nameOf(T, field.name))) {
                    // `null` is absence where a field may be absent.
                    if (field.defaultValue() == null or self.peek() != 'n' or field.type == Json or !self.takeWord("null")) {
                        @field(result, field.name) = try self.value(field.type);
                        seen[nth] = true;
                    }
                    break;
                }
            } else _ = try self.skip();
            self.path = place.up;
        }
        inline for (fields, 0..) |field, nth| {
            if (!seen[nth]) {
                if (field.defaultValue()) |default| {
                    @field(result, field.name) = default;
                } else {
                    place.key = nameOf(T, field.name);
                    self.path = &place;
                    return self.fail("missing", .{});
                }
            }
        }
        return result;
    }

    fn alternative(self: *Reader, comptime T: type) Error!T {
        const begin = self.at;
        const nesting = self.nesting;
        var tag: ?[]const u8 = null;
        var payload: ?usize = null;
        var first = true;
        // The tag may come after what it decides on.
        try self.open('{');
        var place: Path = .{ .up = self.path, .key = T.json_tag };
        while (try self.more('}', &first)) {
            const name = try self.key();
            if (std.mem.eql(u8, name, T.json_tag)) {
                self.path = &place;
                tag = try self.string();
                self.path = place.up;
            } else {
                if (T.json_payload) |wanted| {
                    if (std.mem.eql(u8, name, wanted)) payload = self.at;
                }
                _ = try self.skip();
            }
        }
        const end_at = self.at;
        self.path = &place;
        const found = tag orelse return self.fail("missing", .{});
        inline for (comptime fieldsOf(T)) |field| {
            if (std.mem.eql(u8, found, comptime nameOf(T, field.name))) {
                if (field.type == void) {
                    self.path = place.up;
                    return @unionInit(T, field.name, {});
                }
                if (T.json_payload) |name| {
                    place.key = name;
                    self.at = payload orelse return self.fail("missing", .{});
                    self.nesting = nesting + 1;
                } else {
                    self.path = place.up;
                    self.at = begin;
                    self.nesting = nesting;
                }
                const content = try self.value(field.type);
                self.at = end_at;
                self.nesting = nesting;
                self.path = place.up;
                return @unionInit(T, field.name, content);
            }
        }
        return self.fail("not one of the contract's: {s}", .{found});
    }

    fn bytes(self: *Reader) Error!Bytes {
        const text = try self.string();
        const decoder = if (std.mem.endsWith(u8, text, "=")) std.base64.standard.Decoder else std.base64.standard_no_pad.Decoder;
        const size = decoder.calcSizeForSlice(text) catch return self.fail("not base64", .{});
        const data = try self.allocator.alloc(u8, size);
        decoder.decode(data, text) catch return self.fail("not base64", .{});
        return .{ .data = data };
    }
};

fn writePath(allocator: Allocator, text: *Text, path: ?*const Path) Allocator.Error!void {
    const place = path orelse return text.append(allocator, '$');
    try writePath(allocator, text, place.up);
    if (place.key) |key| {
        try text.append(allocator, '.');
        try text.appendSlice(allocator, key);
    } else {
        try text.appendSlice(allocator, try std.fmt.allocPrint(allocator, "[{d}]", .{place.index}));
    }
}

/// A field of a struct, or an alternative of a union.
const Field = struct {
    name: []const u8,
    type: type,
    default: ?*const anyopaque,

    fn defaultValue(comptime self: Field) ?self.type {
        const default: *const self.type = @ptrCast(@alignCast(self.default orelse return null));
        return default.*;
    }
};

fn fieldsOf(comptime T: type) []const Field {
    var fields: []const Field = &.{};
    switch (@typeInfo(T)) {
        .@"struct" => |info| for (info.field_names, info.field_types, info.field_attrs) |name, of, attributes| {
            fields = fields ++ .{Field{ .name = name, .type = of, .default = attributes.default_value_ptr }};
        },
        .@"union" => |info| for (info.field_names, info.field_types) |name, of| {
            fields = fields ++ .{Field{ .name = name, .type = of, .default = null }};
        },
        else => @compileError("no fields of " ++ @typeName(T)),
    }
    return fields;
}

/// The name in JSON of a field, a constant or an alternative.
pub fn nameOf(comptime T: type, comptime name: []const u8) []const u8 {
    if (@hasDecl(T, "json_names") and @hasField(@TypeOf(T.json_names), name)) return @field(T.json_names, name);
    return name;
}

/// The name in JSON of a constant.
pub fn nameOfConstant(constant: anytype) []const u8 {
    return switch (constant) {
        inline else => |tag| comptime nameOf(@TypeOf(constant), @tagName(tag)),
    };
}

/// Decodes JSON. `problem` gets what is wrong.
pub fn decode(comptime T: type, allocator: Allocator, text: []const u8, problem: *[]const u8) Error!T {
    var reader: Reader = .{ .allocator = allocator, .text = text };
    errdefer problem.* = reader.problem;
    const value = try reader.value(T);
    try reader.end();
    return value;
}

const Text = std.ArrayList(u8);

/// The JSON of a value.
pub fn encode(allocator: Allocator, value: anytype) Allocator.Error![]const u8 {
    var text: Text = .empty;
    try write(allocator, &text, value);
    return text.items;
}

/// Writes a value as JSON.
pub fn write(allocator: Allocator, text: *Text, value: anytype) Allocator.Error!void {
    const T = @TypeOf(value);
    if (T == Json) return text.appendSlice(allocator, if (value.text.len == 0) "null" else value.text);
    if (T == Bytes) {
        const encoder = std.base64.standard.Encoder;
        try text.append(allocator, '"');
        const room = try text.addManyAsSlice(allocator, encoder.calcSize(value.data.len));
        _ = encoder.encode(room, value.data);
        return text.append(allocator, '"');
    }
    if (T == []const u8) return writeString(allocator, text, value);
    switch (@typeInfo(T)) {
        .bool => try text.appendSlice(allocator, if (value) "true" else "false"),
        .int, .comptime_int => {
            var buffer: [24]u8 = undefined;
            try text.appendSlice(allocator, std.fmt.bufPrint(&buffer, "{d}", .{value}) catch unreachable);
        },
        .float, .comptime_float => {
            if (!std.math.isFinite(value)) return text.appendSlice(allocator, "null");
            try text.appendSlice(allocator, try std.fmt.allocPrint(allocator, "{e}", .{value}));
        },
        .optional => if (value) |inner| try write(allocator, text, inner) else try text.appendSlice(allocator, "null"),
        .null, .void => try text.appendSlice(allocator, "null"),
        .pointer => |pointer| switch (pointer.size) {
            .slice => {
                try text.append(allocator, '[');
                for (value, 0..) |item, nth| {
                    if (nth > 0) try text.append(allocator, ',');
                    try write(allocator, text, item);
                }
                try text.append(allocator, ']');
            },
            // A string literal is a pointer to an array.
            else => switch (@typeInfo(pointer.child)) {
                .array => |array| try write(allocator, text, @as([]const array.child, value)),
                else => try write(allocator, text, value.*),
            },
        },
        .@"enum" => switch (value) {
            inline else => |tag| try writeString(allocator, text, comptime nameOf(T, @tagName(tag))),
        },
        .@"union" => {
            try text.appendSlice(allocator, "{\"" ++ T.json_tag ++ "\":");
            switch (value) {
                inline else => |content, tag| {
                    try writeString(allocator, text, comptime nameOf(T, @tagName(tag)));
                    if (@TypeOf(content) != void) {
                        if (T.json_payload) |name| {
                            try text.appendSlice(allocator, ",\"" ++ name ++ "\":");
                            try write(allocator, text, content);
                        } else try writeFields(allocator, text, content, true);
                    }
                },
            }
            try text.append(allocator, '}');
        },
        .@"struct" => {
            try text.append(allocator, '{');
            if (@hasDecl(T, "Entry")) {
                for (value.entries, 0..) |entry, nth| {
                    if (nth > 0) try text.append(allocator, ',');
                    try writeString(allocator, text, entry.key);
                    try text.append(allocator, ':');
                    try write(allocator, text, entry.value);
                }
            } else try writeFields(allocator, text, value, false);
            try text.append(allocator, '}');
        },
        else => @compileError("no JSON of " ++ @typeName(T)),
    }
}

fn writeFields(allocator: Allocator, text: *Text, value: anytype, follows: bool) Allocator.Error!void {
    const T = @TypeOf(value);
    var comes_after = follows;
    inline for (comptime fieldsOf(T)) |field| {
        const is_default = if (field.defaultValue()) |default| isSame(@field(value, field.name), default) else false;
        if (!is_default) {
            if (comes_after) try text.append(allocator, ',');
            comes_after = true;
            try text.appendSlice(allocator, "\"" ++ comptime nameOf(T, field.name) ++ "\":");
            try write(allocator, text, @field(value, field.name));
        }
    }
}

/// True if a value is the default of its field.
fn isSame(value: anytype, default: @TypeOf(value)) bool {
    const T = @TypeOf(value);
    return switch (@typeInfo(T)) {
        .bool, .int, .float, .@"enum" => value == default,
        .optional => value == null and default == null,
        .pointer => |pointer| pointer.size == .slice and value.len == 0 and default.len == 0,
        .@"struct" => if (T == Json)
            std.mem.eql(u8, value.text, default.text)
        else if (@hasDecl(T, "Entry"))
            value.entries.len == 0
        else
            false,
        else => false,
    };
}

/// Writes a text in quotes. What is not UTF-8 becomes U+FFFD, so that the JSON is always valid.
fn writeString(allocator: Allocator, text: *Text, string: []const u8) Allocator.Error!void {
    try text.ensureUnusedCapacity(allocator, string.len + 2);
    try text.append(allocator, '"');
    var at: usize = 0;
    while (at < string.len) {
        const byte = string[at];
        switch (byte) {
            '"', '\\' => try text.appendSlice(allocator, &.{ '\\', byte }),
            '\n' => try text.appendSlice(allocator, "\\n"),
            '\r' => try text.appendSlice(allocator, "\\r"),
            '\t' => try text.appendSlice(allocator, "\\t"),
            0...8, 11, 12, 14...0x1f => {
                const hex = "0123456789abcdef";
                try text.appendSlice(allocator, &.{ '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] });
            },
            0x80...0xff => {
                const length = std.unicode.utf8ByteSequenceLength(byte) catch 5;
                if (at + length <= string.len and std.unicode.utf8ValidateSlice(string[at..][0..length])) {
                    try text.appendSlice(allocator, string[at..][0..length]);
                    at += length;
                    continue;
                }
                try text.appendSlice(allocator, "\u{FFFD}");
            },
            else => try text.append(allocator, byte),
        }
        at += 1;
    }
    try text.append(allocator, '"');
}

/// The JSON Schema of a type.
pub fn schema(comptime T: type) Json {
    @setEvalBranchQuota(100_000);
    return .{ .text = comptime schemaText(T, null) };
}

fn schemaText(comptime T: type, comptime description: ?[]const u8) []const u8 {
    const about = if (description) |text| "\"description\":" ++ quoted(text) else "";
    const body: []const u8 = if (T == Json) "" else if (T == Bytes)
        "\"type\":\"string\",\"contentEncoding\":\"base64\""
    else if (T == []const u8)
        "\"type\":\"string\""
    else switch (@typeInfo(T)) {
        .bool => "\"type\":\"boolean\"",
        .int => std.fmt.comptimePrint("\"type\":\"integer\",\"minimum\":{d},\"maximum\":{d}", .{
            std.math.minInt(T),
            std.math.maxInt(T),
        }),
        .float => "\"type\":\"number\"",
        .optional => |optional| return schemaText(optional.child, description),
        .pointer => |pointer| if (pointer.size == .slice)
            "\"type\":\"array\",\"items\":" ++ schemaText(pointer.child, null)
        else
            return schemaText(pointer.child, description),
        .@"enum" => names: {
            var list: []const u8 = "";
            for (std.meta.fieldNames(T)) |constant| {
                list = list ++ (if (list.len > 0) "," else "") ++ quoted(nameOf(T, constant));
            }
            break :names "\"type\":\"string\",\"enum\":[" ++ list ++ "]";
        },
        .@"struct" => if (@hasDecl(T, "Entry"))
            "\"type\":\"object\",\"additionalProperties\":" ++ schemaText(T.Value, null)
        else fields: {
            var properties: []const u8 = "";
            var required: []const u8 = "";
            for (fieldsOf(T)) |field| {
                const name = quoted(nameOf(T, field.name));
                const text: ?[]const u8 = if (@hasDecl(T, "descriptions") and @hasField(@TypeOf(T.descriptions), field.name))
                    @field(T.descriptions, field.name)
                else
                    null;
                properties = properties ++ (if (properties.len > 0) "," else "") ++ name ++ ":" ++ schemaText(field.type, text);
                if (field.defaultValue() == null) required = required ++ (if (required.len > 0) "," else "") ++ name;
            }
            break :fields "\"type\":\"object\",\"properties\":{" ++ properties ++ "}" ++
                (if (required.len > 0) ",\"required\":[" ++ required ++ "]" else "") ++ ",\"additionalProperties\":false";
        },
        else => "\"type\":\"object\"",
    };
    return "{" ++ body ++ (if (body.len > 0 and about.len > 0) "," else "") ++ about ++ "}";
}

fn quoted(comptime text: []const u8) []const u8 {
    var result: []const u8 = "\"";
    for (text) |byte| {
        result = result ++ switch (byte) {
            '"', '\\' => &[_]u8{ '\\', byte },
            '\n' => "\\n",
            else => &[_]u8{byte},
        };
    }
    return result ++ "\"";
}

const testing = std.testing;

const Example = struct {
    name: []const u8,
    count: u64 = 0,
    below: ?i64 = null,
    list: []const Inner = &.{},
    any: Json = .{},

    pub const json_names = .{ .below = "belowZero" };

    const Inner = struct { bytes: Bytes };
};

fn again(text: []const u8) ![]const u8 {
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    var problem: []const u8 = "";
    const value = decode(Example, arena.allocator(), text, &problem) catch |failure| switch (failure) {
        error.Invalid => return testing.allocator.dupe(u8, problem),
        else => return failure,
    };
    return testing.allocator.dupe(u8, try encode(arena.allocator(), value));
}

fn expectAgain(text: []const u8, expected: []const u8) !void {
    const got = try again(text);
    defer testing.allocator.free(got);
    try testing.expectEqualStrings(expected, got);
}

test "what is decoded is encoded again" {
    try expectAgain(
        "{\"name\":\"a\\ud83d\\ude00\\n\",\"count\":18446744073709551615,\"belowZero\":-9223372036854775808," ++
            "\"list\":[{\"bytes\":\"AQI=\"}],\"any\":[1.50,12345678901234567890],\"more\":{}}",
        "{\"name\":\"a😀\\n\",\"count\":18446744073709551615,\"belowZero\":-9223372036854775808," ++
            "\"list\":[{\"bytes\":\"AQI=\"}],\"any\":[1.50,12345678901234567890]}",
    );
    try expectAgain("{\"name\":\"\",\"count\":0,\"belowZero\":null,\"list\":null}", "{\"name\":\"\"}");
}

test "what does not fit says where" {
    try expectAgain("{}", "$.name: missing");
    try expectAgain("{\"name\":\"a\",\"list\":[{\"bytes\":\"AQ==\"},{}]}", "$.list[1].bytes: missing");
    try expectAgain("{\"name\":1}", "$.name: expected a text, found a number");
    try expectAgain("{\"name\":\"a\",\"count\":18446744073709551616}", "$.count: the number is too large or too small");
    try expectAgain("{\"name\":\"\\ud800\"}", "$.name: a surrogate that stands alone");
    try expectAgain("{\"name\":\"\xff\"}", "$.name: the text is not UTF-8");
    try expectAgain("{\"name\":\"a\"} 1", "$: something follows the value");
}

test "nesting is bounded" {
    var problem: []const u8 = "";
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    const deep: [100_000]u8 = @splat('[');
    try testing.expectError(error.Invalid, decode(Json, arena.allocator(), &deep, &problem));
    var brackets: [258]u8 = undefined;
    @memset(brackets[0..129], '[');
    @memset(brackets[129..], ']');
    _ = try decode(Json, arena.allocator(), brackets[1..257], &problem);
    try testing.expectError(error.Invalid, decode(Json, arena.allocator(), &brackets, &problem));
}

test "hostile bytes are refused or kept" {
    var random: std.Random.DefaultPrng = .init(1);
    const corpus = "{\"name\":\"a\\u00e9\\ud83d\\ude00\",\"count\":12,\"list\":[{\"bytes\":\"AQI=\"}],\"any\":{\"x\":[null,1.5e3]}}";
    var arena: std.heap.ArenaAllocator = .init(testing.allocator);
    defer arena.deinit();
    for (0..20_000) |_| {
        _ = arena.reset(.retain_capacity);
        var text: [corpus.len]u8 = corpus.*;
        for (0..random.random().uintLessThan(usize, 5)) |_| {
            text[random.random().uintLessThan(usize, text.len)] = random.random().int(u8);
        }
        var problem: []const u8 = "";
        const value = decode(Example, arena.allocator(), text[0..random.random().uintAtMost(usize, text.len)], &problem) catch continue;
        const encoded = try encode(arena.allocator(), value);
        const twice = try decode(Example, arena.allocator(), encoded, &problem);
        try testing.expectEqualStrings(encoded, try encode(arena.allocator(), twice));
    }
}

test "a schema has the fields and what is required" {
    const Args = struct {
        name: []const u8,
        times: ?u16 = null,

        pub const descriptions = .{ .name = "The \"name\"." };
    };
    try testing.expectEqualStrings(
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"description\":\"The \\\"name\\\".\"}," ++
            "\"times\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":65535}},\"required\":[\"name\"],\"additionalProperties\":false}",
        schema(Args).text,
    );
}
