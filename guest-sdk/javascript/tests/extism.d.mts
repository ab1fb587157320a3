export class Extism {
  constructor(effects?: Record<string, (request: never) => unknown>);
  lines: string[];
  output: string;
  start(bytes: Uint8Array): this;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  call(name: string, input?: unknown): any;
}

export function names(module: Uint8Array, of: "imports" | "exports"): string[];
