/** The query string of a request: keys in their order, each with all its values. */

/** A query string, read. */
export type QueryArgs = {
  /** The last value of a key; undefined when it is absent. */
  last(name: string): string | undefined;
  /** Every value of a key. */
  all(name: string): readonly string[];
  /** The keys, each once. */
  readonly names: readonly string[];
};

/** Reads a query string without its question mark; what is not valid UTF-8 or percent encoding is kept as far as it can be read. */
export function parseQuery(text: string): QueryArgs {
  const values = new Map<string, string[]>();
  // No row holds a NUL, and PostgreSQL refuses to look for one.
  for (const [name, value] of new URLSearchParams(text.replaceAll('%00', '%EF%BF%BD'))) {
    const list = values.get(name);
    if (list === undefined) values.set(name, [value]);
    else list.push(value);
  }
  return {
    last: (name) => values.get(name)?.at(-1),
    all: (name) => values.get(name) ?? [],
    names: [...values.keys()],
  };
}

/** A flag of a query string as the reference reads it: its true words in any case, everything else is false. */
export function isTrue(text: string | undefined): boolean {
  return text !== undefined && ['true', 't', 'yes', 'y', 'on', '1'].includes(text.trim().toLowerCase());
}
