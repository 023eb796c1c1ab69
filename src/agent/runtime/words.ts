/** Words of HAProxy's commands and of its configuration. Pure. */

/**
 * A word of a command as it is, whatever it contains but control characters: a backslash stands before each special one
 * (management guide, section 9.3).
 */
export function commandWord(word: string): string {
  return word.replaceAll(/[^A-Za-z0-9_./:,@=+*?^$()[\]{}|~%&!>\u0080-\u{10ffff}-]/gu, (character) => `\\${character}`);
}

/** A word with the versions of lists, certificates and authorities in it made equal: they are exchanged while HAProxy runs. */
export function withoutVersions(word: string): string {
  return word
    .replaceAll(/([a-z0-9-]{1,80})\.[0-9a-f]{32}\.(acl|map)(?![\w.-])/gu, '$1.*.$2')
    .replaceAll(/([a-z0-9-]{1,60})\.[0-9a-f]{12}\.[0-9a-f]{32}\.pem(?![\w.-])/gu, '$1.*.pem');
}
