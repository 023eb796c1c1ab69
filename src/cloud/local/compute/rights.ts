/** Whether this machine lets us make amphorae. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Bits of CapEff (capabilities(7)) that the local cloud cannot do without. */
const NEEDED = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21 } as const;

/** Programs that the local cloud calls, and the Debian package of each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  haproxy: 'haproxy',
  keepalived: 'keepalived',
  nsenter: 'util-linux',
  flock: 'util-linux',
};

/**
 * One sentence that says what is missing to run amphorae on this machine and what to do; null when nothing is. bubblewrap is not
 * asked for: without it `unshare` does.
 *
 * @param search_path the PATH to look for programs in
 */
export function missingRights(search_path: string): string | null {
  if (process.platform !== 'linux') return 'Amphorae on this machine need Linux: use the drivers for OpenStack, or run on Linux.';
  const lacking = missingCapabilities(readFileSync('/proc/self/status', 'utf8'));
  if (lacking.length > 0 && process.geteuid?.() !== 0) {
    return 'Amphorae on this machine need root: start as root (for example with sudo), or configure the drivers for OpenStack.';
  }
  if (lacking.length > 0)
    return `Root lacks ${lacking.join(' and ')} here: give the container these capabilities (--privileged does), or configure the drivers for OpenStack.`;
  const packages = missingPackages(search_path);
  if (packages.length > 0) return `These packages are missing: install them with apt-get install ${packages.join(' ')}.`;
  return null;
}

/** The packages of programs that are not found, without doubles. */
export function missingPackages(search_path: string): readonly string[] {
  const absent = Object.keys(PROGRAMS).filter((name) => !search_path.split(delimiter).some((folder) => isExecutable(join(folder, name))));
  return [...new Set(absent.map((name) => PROGRAMS[name] ?? name))];
}

/** Needed capabilities that a /proc/<pid>/status does not have in force. */
export function missingCapabilities(status: string): readonly string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/mu.exec(status)?.[1] ?? '0'}`);
  return Object.entries(NEEDED).flatMap(([name, bit]) => (((effective >> BigInt(bit)) & 1n) === 1n ? [] : [name]));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
