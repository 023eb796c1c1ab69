/** Words of HAProxy's commands. Pure. */

/**
 * A word of a command as it is, whatever it contains but control characters: a backslash stands before each special one
 * (management guide, section 9.3).
 */
export function commandWord(word: string): string {
  return word.replaceAll(/[^A-Za-z0-9_./:,@=+*?^$()[\]{}|~%&!>\u0080-\u{10ffff}-]/gu, (character) => `\\${character}`);
}
