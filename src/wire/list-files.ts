/**
 * Files of entries beside haproxy.cfg, for agents with the capability `lists`: `acl … -f <path>` and `map(<path>)`.
 *
 * They are uploaded by `PUT /1.0/loadbalancer/{lb}/lists/{name}` before the configuration that names them. A name is
 * `<slot>.<MD5 of the content>.<kind>`: so the MD5 of a configuration covers its lists, an upload alone changes nothing, and
 * HAProxy never starts with half of a change. Names that differ only in their MD5 are versions of one list, which the agent
 * exchanges in the running HAProxy without a reload. The agent removes what no configuration names any more.
 */
import { createHash } from 'node:crypto';

/** `acl`: patterns, one a line; `map`: a key without spaces, a space, a value. */
export type ListKind = 'acl' | 'map';

/** A file as it is uploaded. */
export type ListFile = { readonly name: string; readonly content: string };

/** The parts of a file's name. */
export type ListName = { readonly slot: string; readonly md5: string; readonly kind: ListKind };

// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u001f\u007f]/u;
const namePattern = /^([a-z0-9-]{1,80})\.([0-9a-f]{32})\.(acl|map)$/u;

/**
 * A file of patterns. `slot` says what the list is for and stays the same when its entries change: `allowed-cidrs-<listener id>`.
 * Throws `TypeError` for an entry that HAProxy would read as another one: empty, with spaces at its ends, a comment, or with
 * control characters.
 */
export function aclFile(slot: string, entries: readonly string[]): ListFile {
  return listFile(slot, 'acl', entries.map(checkedEntry));
}

/** A file of keys and values. Throws `TypeError` as `aclFile` does, and for a key with a space in it. */
export function mapFile(slot: string, entries: readonly (readonly [key: string, value: string])[]): ListFile {
  const lines = entries.map(([key, value]) => {
    if (key.includes(' ')) throw new TypeError('a key of a map cannot contain spaces');
    return `${checkedEntry(key)} ${checkedEntry(value)}`;
  });
  return listFile(slot, 'map', lines);
}

/** Where a list lies in the amphora; `base_path` is what its agent reports. */
export function listPath(base_path: string, loadbalancer_id: string, name: string): string {
  return `${base_path}/${loadbalancer_id}/lists/${name}`;
}

/** The parts of a name; undefined when it is none. */
export function parseListName(name: string): ListName | undefined {
  const match = namePattern.exec(name);
  return match === null ? undefined : { slot: match[1] ?? '', md5: match[2] ?? '', kind: match[3] as ListKind };
}

/** The MD5 that a name must have for this content. */
export function listMd5(content: string | Uint8Array): string {
  return createHash('md5').update(content).digest('hex');
}

function listFile(slot: string, kind: ListKind, lines: readonly string[]): ListFile {
  const content = lines.map((each) => `${each}\n`).join('');
  const name = `${slot}.${listMd5(content)}.${kind}`;
  if (!namePattern.test(name)) throw new TypeError(`${slot} cannot be part of a file's name`);
  return { name, content };
}

/** Can this text be an entry, and be read as itself? */
export function isListEntry(text: string): boolean {
  return text !== '' && text === text.trim() && !text.startsWith('#') && !controlCharacter.test(text) && text.isWellFormed();
}

function checkedEntry(entry: string): string {
  if (!isListEntry(entry))
    throw new TypeError('an entry of a list cannot be empty, a comment, or have control characters or spaces at its ends');
  return entry;
}
