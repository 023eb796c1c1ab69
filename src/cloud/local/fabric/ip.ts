/** Changing links, addresses and namespaces through ip(8), many changes by one call. */
import { existsSync, statSync, statfsSync } from 'node:fs';
import { isIP } from 'node:net';
import { CommandError, run } from '../../../lib/run.ts';
import { NETNS_DIR } from './names.ts';

const NSFS_MAGIC = 0x6e736673;

/** Runs lines of ip(8) in order, in this namespace or a named one; stops at the first that fails. Throws `CommandError`. */
export async function ipBatch(lines: readonly string[], netns?: string): Promise<void> {
  if (lines.length === 0) return;
  await run('ip', [...(netns === undefined ? [] : ['-n', netns]), '-batch', '-'], { input: batchText(lines) });
}

/** Lines as standard input of `ip -batch -`. Throws when one has a line break: then it would be two commands. */
export function batchText(lines: readonly string[]): string {
  const broken = lines.find((line) => /[\n\r\0]/u.test(line));
  if (broken !== undefined) throw new Error(`not one line: ${JSON.stringify(broken)}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** The inode of a named network namespace, which tells it from a later one of the same name; null when there is none. */
export function namespaceInode(name: string): number | null {
  const path = `${NETNS_DIR}/${name}`;
  try {
    // After a crash or in a private mount namespace the name can be left as an empty file of an ordinary file system.
    return statfsSync(path).type === NSFS_MAGIC ? statSync(path).ino : null;
  } catch {
    return null;
  }
}

/** Removes named namespaces, also names that nothing is behind; those that are not there are success. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  const present = (): readonly string[] => names.filter((name) => existsSync(`${NETNS_DIR}/${name}`));
  if (present().length === 0) return;
  try {
    await run('ip', ['-force', '-batch', '-'], { input: batchText(present().map((name) => `netns delete ${checkedNamespace(name)}`)) });
  } catch (error) {
    if (present().length > 0) throw error;
  }
}

/** True when ip(8) refused because what was to be made is there already. */
export function isAlreadyThere(error: unknown): boolean {
  return error instanceof CommandError && /File exists/u.test(error.stderr);
}

/** True when ip(8) refused because what was named is not there. */
export function isMissing(error: unknown): boolean {
  return (
    error instanceof CommandError &&
    /Cannot find device|does not exist|No such device|Cannot open network namespace|Invalid "netns" value/u.test(error.stderr)
  );
}

/** True when this kernel speaks IPv6. */
export function hasIpv6(): boolean {
  return existsSync('/proc/sys/net/ipv6');
}

/** The same text, when it is a hardware address; throws otherwise. */
export function checkedMac(text: string): string {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/iu.test(text)) throw new Error(`not a hardware address: ${JSON.stringify(text)}`);
  return text;
}

/** `address/prefix` for ip(8). Throws when the address is none. */
export function checkedAddress(address: string, prefix: number): string {
  const family = isIP(address);
  if (family === 0 || address.includes('%') || !Number.isInteger(prefix) || prefix < 0 || prefix > (family === 4 ? 32 : 128)) {
    throw new Error(`not an address: ${JSON.stringify(`${address}/${prefix}`)}`);
  }
  return `${address}/${prefix}`;
}

/** The same text, when it can be the name of an interface (dev_valid_name() of the kernel, minus what ip(8) would read as a word). */
export function checkedInterface(text: string): string {
  if (!/^[a-z][a-z0-9_.-]{0,14}$/iu.test(text)) throw new Error(`not an interface name: ${JSON.stringify(text)}`);
  return text;
}

/** The same text, when it is the name of a namespace below /run/netns. */
export function checkedNamespace(text: string): string {
  if (!/^[a-z][a-z0-9_.-]{0,200}$/iu.test(text)) throw new Error(`not a namespace name: ${JSON.stringify(text)}`);
  return text;
}
