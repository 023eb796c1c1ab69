/**
 * Reader of configuration files in oslo.config's syntax (docs.openstack.org/oslo.config, "configuration files").
 *
 *   [group]            a section
 *   key = value        or `key: value`; one pair of quotes around the value is taken off
 *     more             an indented line goes on with the value above it, on a line of its own
 *   # or ;             a comment, only at the start of a line: inside a value both are ordinary characters
 *
 * A key given twice is a list for an option that may be given many times, else the last one counts.
 * `$name` and `${group.name}` stand for other options, `$$` (or `\$`) for a dollar.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** One assignment as it stands in a file. The lines of a continued value are joined with newlines. */
export type ConfEntry = {
  readonly group: string;
  readonly name: string;
  readonly value: string;
  readonly file: string;
  readonly line: number;
};

/** A line that is not in the syntax; the message names file and line. */
export class ConfSyntaxError extends Error {
  constructor(file: string, line: number, what: string) {
    super(`${file}:${line}: ${what}`);
    this.name = 'ConfSyntaxError';
  }
}

type Pending = { group: string; name: string; values: string[]; line: number };

/** All assignments of a file in their order. Throws `ConfSyntaxError`. Pure; `file` is only for messages. */
export function parseOsloConf(text: string, file: string): ConfEntry[] {
  const entries: ConfEntry[] = [];
  let group: string | undefined;
  let pending: Pending | undefined;
  const finish = (): void => {
    if (pending !== undefined)
      entries.push({ group: pending.group, name: pending.name, value: unquoted(pending.values.join('\n')), file, line: pending.line });
    pending = undefined;
  };
  for (const [index, raw] of text
    .replace(/^\u{feff}/u, '')
    .split(/\r?\n/u)
    .entries()) {
    const line = index + 1;
    const content = raw.trimEnd();
    if (/^[ \t]+\S/u.test(content)) {
      if (pending === undefined)
        throw new ConfSyntaxError(file, line, 'an indented line goes on with the option above it, but there is none');
      pending.values.push(content.trim());
      continue;
    }
    finish();
    if (content === '' || content.startsWith('#') || content.startsWith(';')) continue;
    if (content.startsWith('[')) group = sectionName(content, file, line);
    else pending = { ...assignment(content, group, file, line), line };
  }
  finish();
  return entries;
}

function sectionName(content: string, file: string, line: number): string {
  const name = /^\[([^\]]*)\]\s*(?:[#;].*)?$/u.exec(content)?.[1]?.trim();
  if (name === undefined || name === '') throw new ConfSyntaxError(file, line, 'a section is written [name]');
  return name;
}

function assignment(content: string, group: string | undefined, file: string, line: number): Omit<Pending, 'line'> {
  const split = /[=:]/u.exec(content)?.index;
  if (split === undefined) throw new ConfSyntaxError(file, line, 'neither a [section], nor name = value, nor a comment');
  const name = content.slice(0, split).trim();
  if (name === '') throw new ConfSyntaxError(file, line, 'the name before the = is missing');
  if (group === undefined) throw new ConfSyntaxError(file, line, `${name} stands before the first [section]`);
  return { group, name: name.replaceAll('-', '_'), values: [content.slice(split + 1).trim()] };
}

function unquoted(value: string): string {
  const quote = value[0];
  const isQuoted = value.length > 1 && (quote === '"' || quote === "'") && value.endsWith(quote) && !value.includes('\n');
  return isQuoted ? value.slice(1, -1) : value;
}

/**
 * Replaces `$name`, `${name}`, `$group.name`, `${group.name}`; `$$` and `\$` become a dollar, and a dollar before
 * anything else stays. `lookup` gets the name without dollar and braces; what it throws is passed on.
 */
export function substitute(text: string, lookup: (reference: string) => string): string {
  return text.replace(
    /\\\$|\$\$|\$(?:\{([a-z_][\w.]*)\}|([a-z_][\w]*(?:\.[a-z_]\w*)*))/giu,
    (whole: string, braced?: string, bare?: string) => {
      const reference = braced ?? bare;
      return reference === undefined ? whole.slice(-1) : lookup(reference);
    },
  );
}

/** Files to read and folders whose `*.conf` are read after them, sorted by name (`--config-file`, `--config-dir`). */
export type ConfSources = { readonly files?: readonly string[]; readonly dirs?: readonly string[] };

/** Reads all files of the sources; later entries override earlier ones. Throws what reading throws, and `ConfSyntaxError`. */
export function readOsloConf(sources: ConfSources): ConfEntry[] {
  const inFolders = (sources.dirs ?? []).flatMap((dir) =>
    readdirSync(dir)
      .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
      .toSorted()
      .map((name) => join(dir, name)),
  );
  return [...(sources.files ?? []), ...inFolders].flatMap((file) => parseOsloConf(readFileSync(file, 'utf8'), file));
}
