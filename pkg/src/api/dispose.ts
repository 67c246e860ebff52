/** `await using` closes what has a `close`. */

/** The language's symbol; where it has none, the registered one that compiled `await using` looks for. */
const asyncDispose: symbol = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

export function closesAtEndOfBlock(type: { prototype: { close(): Promise<void> } }): void {
  Object.defineProperty(type.prototype, asyncDispose, {
    value(this: { close(): Promise<void> }) {
      return this.close();
    },
    writable: true,
    configurable: true,
  });
}
