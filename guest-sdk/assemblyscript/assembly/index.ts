/** Plugins for exomonad, in AssemblyScript. A plugin decides, the host acts. */

export { config, getVariable, log, setVariable } from "./abi";
export { Result } from "./effect";
export { allow, ask, deny, pass } from "./hook";
export { Box, decodeBase64, encodeBase64, Json, JsonReader, JsonWriter, some } from "./json";
export { failed, failedBy, objectResult, Plugin, textContent, textResult, Tool } from "./plugin";
export { Arguments, JsonObject, object, ObjectSchema } from "./schema";
