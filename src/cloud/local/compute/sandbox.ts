/**
 * What an instance sees of this machine: its programs and libraries read-only, the files that it was given, and nothing else.
 *
 * The root is an empty file system into which that is mounted. Binding `/` and hiding what must not be seen was the alternative:
 * it forgets the next secret place, and a mount point that the host lacks cannot be made in it.
 */
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { run } from '../../../lib/run.ts';

/** One step of building an instance's root. */
export type Mount =
  | { readonly kind: 'ro' | 'rw'; readonly from: string; readonly to: string }
  | { readonly kind: 'symlink'; readonly from: string; readonly to: string }
  | { readonly kind: 'dir' | 'tmpfs'; readonly to: string };

/** The program that isolates an instance. */
export type Launcher = 'bwrap' | 'unshare';

/** Where an instance's own things lie, seen from the host. */
export type SandboxPlaces = {
  /** Folder below which `etc/octavia` and `var/lib/octavia` are the instance's own. */
  readonly files: string;
  /** Folder with node, agent and init. */
  readonly runtime: string;
  /** The traffic namespace's file. */
  readonly traffic: string;
};

/** Paths inside an instance; the same in a virtual machine's image as far as both have them. */
export const INSIDE = {
  etc: '/etc/octavia',
  state: '/var/lib/octavia',
  run: '/run/octavia',
  runtime: '/opt/octavia',
  traffic: '/run/netns/amphora-haproxy',
} as const;

/**
 * What the init may do; its children get less from it. SYS_ADMIN enters the traffic namespace, NET_ADMIN and NET_RAW configure
 * interfaces and VRRP, NET_BIND_SERVICE binds ports below 1024, SETUID, SETGID, SETPCAP, CHOWN and DAC_OVERRIDE run HAProxy as another
 * user with files that it may read, KILL supervises it.
 */
const CAPABILITIES = [
  'SYS_ADMIN',
  'NET_ADMIN',
  'NET_RAW',
  'NET_BIND_SERVICE',
  'SETUID',
  'SETGID',
  'SETPCAP',
  'CHOWN',
  'DAC_OVERRIDE',
  'KILL',
] as const;

const PROGRAM_FOLDERS = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/nix', '/gnu'];

/** What programs need of /etc; passwords and private keys are not among it. Each costs bubblewrap 0.4 ms, so it is no longer than needed. */
const SETTINGS = [
  'alternatives',
  'crypto-policies',
  'group',
  'ld.so.cache',
  'localtime',
  'nsswitch.conf',
  'passwd',
  'pki/ca-trust',
  'pki/tls/certs',
  'protocols',
  'ssl/certs',
  'ssl/openssl.cnf',
];

/** The steps that build the root of an instance on this machine. */
export function sandboxMounts(places: SandboxPlaces): readonly Mount[] {
  const programs = PROGRAM_FOLDERS.flatMap((path): readonly Mount[] => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return [];
    return [found.isSymbolicLink() ? { kind: 'symlink', from: readlinkSync(path), to: path } : { kind: 'ro', from: path, to: path }];
  });
  const folders = ['/etc', '/etc/pki', '/etc/pki/tls', '/etc/ssl', '/var', '/var/lib', '/opt', '/sys', '/root', '/home'];
  const settings = SETTINGS.map((name) => `/etc/${name}`).filter((path) => existsSync(path));
  return [
    ...folders.map((to): Mount => ({ kind: 'dir', to })),
    ...programs,
    ...settings.map((path): Mount => ({ kind: 'ro', from: path, to: path })),
    { kind: 'tmpfs', to: '/tmp' },
    { kind: 'tmpfs', to: '/run' },
    { kind: 'dir', to: INSIDE.run },
    { kind: 'dir', to: '/run/netns' },
    { kind: 'rw', from: places.traffic, to: INSIDE.traffic },
    { kind: 'rw', from: `${places.files}${INSIDE.etc}`, to: INSIDE.etc },
    { kind: 'rw', from: `${places.files}${INSIDE.state}`, to: INSIDE.state },
    { kind: 'ro', from: places.runtime, to: INSIDE.runtime },
    // User 0 may write most of /proc/sys without any capability, and some of it makes the host run programs.
    { kind: 'ro', from: '/proc/sys', to: '/proc/sys' },
    { kind: 'rw', from: '/proc/sys/net', to: '/proc/sys/net' },
  ];
}

/** The command that runs the init in its own namespaces, inside the management network namespace that it is started in. */
export function sandboxCommand(launcher: Launcher, hostname: string, places: SandboxPlaces, init: readonly string[]): readonly string[] {
  const mounts = sandboxMounts(places);
  if (launcher === 'bwrap') {
    const isolation = ['--unshare-pid', '--unshare-uts', '--unshare-ipc', '--unshare-cgroup-try', '--as-pid-1', '--new-session'];
    const capabilities = ['--cap-drop', 'ALL', ...CAPABILITIES.flatMap((name) => ['--cap-add', `CAP_${name}`])];
    // bwrap hides other mounts of /proc/sys when it mounts /proc: so that comes first, our own steps after it.
    const basic = ['--proc', '/proc', '--dev', '/dev', '--info-fd', '8'];
    return ['bwrap', ...isolation, '--hostname', hostname, ...basic, ...mounts.flatMap(bwrapArguments), ...capabilities, '--', ...init];
  }
  const kept = ['-all', ...CAPABILITIES.map((name) => `+${name.toLowerCase()}`)].join(',');
  const reduced = ['setpriv', '--no-new-privs', `--bounding-set=${kept}`, `--inh-caps=${kept}`];
  const steps = mounts.flatMap((mount) => [mount.kind, 'from' in mount ? mount.from : '-', mount.to]);
  const isolation = ['--mount', '--propagation', 'private', '--pid', '--fork', '--uts', '--ipc'];
  return [
    'unshare',
    ...isolation,
    'sh',
    '-c',
    BUILD_ROOT,
    'amphora',
    hostname,
    `${places.files}/root`,
    String(mounts.length),
    ...steps,
    ...reduced,
    ...init,
  ];
}

/** The better launcher that works here. bubblewrap can be there and fail: in a chroot, or where a security module forbids it. */
export async function chooseLauncher(): Promise<Launcher> {
  try {
    await run('bwrap', ['--unshare-pid', '--unshare-uts', '--unshare-ipc', '--ro-bind', '/', '/', '--proc', '/proc', '--', 'true']);
    return 'bwrap';
  } catch {
    return 'unshare';
  }
}

function bwrapArguments(mount: Mount): readonly string[] {
  switch (mount.kind) {
    case 'ro':
      return ['--ro-bind', mount.from, mount.to];
    case 'rw':
      return ['--bind', mount.from, mount.to];
    case 'symlink':
      return ['--symlink', mount.from, mount.to];
    default:
      return [`--${mount.kind}`, mount.to];
  }
}

/**
 * The same root without bubblewrap; runs as process 1 of the new namespaces. Arguments: host name, a folder to build it in (one that
 * hides nothing that is mounted into it), number of steps, three words (kind, source, place), then the command.
 */
const BUILD_ROOT = `
set -eu
hostname "$1"
root=$2
count=$3
shift 3
mkdir -p "$root"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root"
mkdir "$root/proc" "$root/dev" "$root/old"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mkdir "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
prepare() { if [ -d "$1" ]; then mkdir -p "$2"; elif [ ! -e "$2" ]; then mkdir -p "$(dirname "$2")"; : > "$2"; fi; }
while [ "$count" -gt 0 ]; do
  to=$root$3
  case $1 in
    dir) mkdir -p "$to" ;;
    tmpfs) mkdir -p "$to"; mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$to" ;;
    symlink) ln -s "$2" "$to" ;;
    ro) prepare "$2" "$to"; mount -o bind,ro "$2" "$to" ;;
    rw) prepare "$2" "$to"; mount --bind "$2" "$to" ;;
  esac
  shift 3
  count=$((count - 1))
done
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
cd /
exec "$@"`;
