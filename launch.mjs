/**
 * Launcher: `node launch.mjs [--dev] [--data-plane] [--packages a,b] ENTRY.ts [arguments]`.
 *
 * Runs on the Node of the distribution (18 or newer) and has no dependency. It installs the npm packages when the lock file
 * asks for others than are there, checks the pinned Node that comes with them, installs missing Debian packages, and then
 * becomes that Node with the entry. OCTAVIA_INSTALL=never forbids every install.
 *
 * --data-plane  the entry runs amphorae on this machine: it needs the programs listed below, and root
 * --dev         a missing program is said but does not stop: the tests that need it are skipped and say so
 * --packages    Debian packages that are wanted besides, such as those of test clients
 *
 * Controllers run from bundles of their sources, which are made anew when a source has changed; OCTAVIA_BUNDLE=never runs the sources.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const modules = join(root, 'node_modules');
const lockFile = join(root, 'package-lock.json');
const stamp = join(modules, '.octavia-stamp');
const mayInstall = process.env.OCTAVIA_INSTALL !== 'never';
const isRoot = process.getuid?.() === 0;

/** Debian package → the program in it that must be there. */
const programs = {
  haproxy: 'haproxy',
  keepalived: 'keepalived',
  iproute2: 'ip',
  nftables: 'nft',
  conntrack: 'conntrack',
  bubblewrap: 'bwrap',
  'iputils-ping': 'ping',
};

/** Without these it goes on: `unshare` does for bwrap; the others serve pairs of amphorae, UDP and PING monitors, and are not asked for before. */
const substitutable = ['bwrap', 'keepalived', 'conntrack', 'ping'];

/** Ends with one sentence. */
function stop(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

function say(sentence) {
  process.stderr.write(`${sentence}\n`);
}

function parseArguments(given) {
  const options = { dev: false, dataPlane: false, packages: [], inner: false, rest: given };
  for (;;) {
    const [first, second] = options.rest;
    if (first === '--dev') options.dev = true;
    else if (first === '--data-plane') options.dataPlane = true;
    else if (first === '--install-npm-packages') options.inner = true;
    else if (first === '--packages') {
      options.packages = (second ?? '').split(',').filter(Boolean);
      options.rest = options.rest.slice(1);
    } else return options;
    options.rest = options.rest.slice(1);
  }
}

// --- npm packages ----------------------------------------------------------------------------------------------------

function wantedStamp() {
  return `${createHash('sha256').update(readFileSync(lockFile)).digest('hex')} ${process.arch}\n`;
}

function isStamped() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wantedStamp();
}

/** True when somebody's own `npm ci` put exactly the locked packages there; npm keeps a list of them. */
function isInstalledByHand() {
  try {
    const wanted = JSON.parse(readFileSync(lockFile, 'utf8')).packages;
    const present = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages;
    const isMissing = ([path, entry]) => path !== '' && entry.optional !== true && present[path]?.version !== entry.version;
    return !Object.entries(wanted).some(isMissing);
  } catch {
    return false;
  }
}

function ensureNpmPackages() {
  if (isStamped()) return;
  if (isInstalledByHand() && checkNode() === undefined) {
    writeStamp();
    return;
  }
  if (!mayInstall)
    stop('The npm packages are not those of package-lock.json and OCTAVIA_INSTALL=never forbids installing them; run npm ci.');
  // The lock is the kernel's, on the lock file itself: it ends with its holder, however that ends.
  const self = [process.execPath, fileURLToPath(import.meta.url), '--install-npm-packages'];
  const locked = spawnSync('flock', ['-w', '900', lockFile, ...self], { stdio: 'inherit' });
  if (locked.error?.code === 'ENOENT') installNpmPackages();
  else if (locked.status !== 0) process.exit(1);
}

function installNpmPackages() {
  if (isStamped()) return;
  const began = Date.now();
  process.stderr.write('Installing npm packages (about 310 MB on disk, Node included) ... ');
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  // No install script is needed, so none runs.
  const args = [
    ...npm.slice(1),
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--include=dev',
    '--include=optional',
  ];
  const result = spawnSync(npm[0], args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
  if (result.error !== undefined)
    stop(`failed.\nnpm cannot be run (${result.error.code}): install it (apt-get install npm) and start again.`);
  if (result.status !== 0) {
    say(`failed.\n${result.stderr.trim().split('\n').slice(-12).join('\n')}`);
    stop(
      'The npm packages could not be installed (see above); check the network or the registry (npm config get registry) and start again.',
    );
  }
  const wrong = checkNode();
  if (wrong !== undefined) stop(`failed.\n${wrong}`);
  writeStamp();
  say(`done in ${Math.round((Date.now() - began) / 1000)} s.`);
}

function writeStamp() {
  try {
    writeFileSync(stamp, wantedStamp());
  } catch {
    // A checkout that may not be written to is compared again next time.
  }
}

// --- the pinned Node -------------------------------------------------------------------------------------------------

function nodePackage() {
  return `node-linux-${process.arch}`;
}

function nodePath() {
  return join(modules, nodePackage(), 'bin', 'node');
}

/** A sentence that says what is wrong with the pinned Node; nothing when it works. */
function checkNode() {
  if (!existsSync(nodePath())) {
    return `The pinned Node (npm package ${nodePackage()}) is missing: its download failed, which npm does not say; run npm ci --include=optional.`;
  }
  const result = spawnSync(nodePath(), ['--version'], { encoding: 'utf8' });
  if (result.status === 0 && result.stdout.startsWith('v24.')) return undefined;
  return `The pinned Node ${nodePath()} does not run (${result.error?.code ?? result.signal ?? result.status}): it needs Linux with glibc 2.28 or newer; if it is damaged, remove node_modules and start again.`;
}

// --- Debian packages -------------------------------------------------------------------------------------------------

function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && isExecutable(join(folder, name)));
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isPackageInstalled(name) {
  const result = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
  return result.status === 0 && result.stdout === 'installed';
}

/** True when the configuration names an OpenStack, whose clouds run the amphorae: nothing is needed on this machine. */
function isInsideOpenStack() {
  try {
    const text = readFileSync(process.env.OCTAVIA_CONFIG ?? '', 'utf8');
    return (
      /^\[(keystone_authtoken|service_auth|nova|neutron)\]/m.test(text) && !/^\[local\][^[]*^enabled\s*=\s*(true|yes|on|1)\b/m.test(text)
    );
  } catch {
    return false;
  }
}

/**
 * Installs without starting any service of the packages: while it runs, policy-rc.d answers 101 (deny). The lock on descriptor
 * 9 is held by this shell and by apt-get below it. policy-rc.d denies only while somebody holds it, so it is without effect
 * should this be killed before it is removed, and the next install removes it. "$@" are the packages.
 */
const installScript = `
lock=/run/octavia-install.lock; policy=/usr/sbin/policy-rc.d; saved=/usr/sbin/policy-rc.d.before-octavia
exec 9>>"$lock"; flock -w 900 9 || exit 75
restore() { if grep -qs '^# octavia-install$' "$policy"; then rm -f "$policy"; fi; if [ -e "$saved" ]; then mv -f "$saved" "$policy"; fi; }
restore
if [ -e "$policy" ]; then mv "$policy" "$saved"; fi
trap restore EXIT
trap '' HUP INT TERM
cat >"$policy.new" <<END
#!/bin/sh
# octavia-install
flock -n -E 75 "$lock" true; [ \\$? -eq 75 ] && exit 101
[ -x "$saved" ] && exec "$saved" "\\$@"
exit 0
END
chmod 755 "$policy.new" && mv "$policy.new" "$policy"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt() { apt-get -y -q -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold "$@"; }
apt install --no-install-recommends "$@" || { apt update && apt install --no-install-recommends "$@"; }
`;

function installDebianPackages(packages) {
  const began = Date.now();
  process.stderr.write(`Installing Debian packages (${packages.join(' ')}; their services are not started) ... `);
  // A session of its own: Ctrl-C must not leave half-configured packages behind.
  const args = ['-w', 'sh', '-c', installScript, 'octavia-install', ...packages];
  const result = spawnSync('setsid', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
  if (result.status === 0) {
    say(`done in ${Math.round((Date.now() - began) / 1000)} s.`);
    return true;
  }
  say('failed.');
  say(
    `${result.stdout}\n${result.stderr}`
      .split('\n')
      .filter((line) => /^(E|Err|W):|dpkg: error/.test(line))
      .slice(-8)
      .join('\n'),
  );
  return false;
}

function ensurePrograms(options) {
  const isNeeded = options.dataPlane && !isInsideOpenStack();
  const lacking = () => (isNeeded ? Object.entries(programs).filter(([, program]) => !findProgram(program)) : []);
  const extra = () => options.packages.filter((name) => !isPackageInstalled(name));
  if (isNeeded && !isRoot) say('Not root: the local cloud (amphorae on this machine) needs root and is not available; everything else is.');
  let missing = lacking();
  const wanted = [...new Set([...missing.map(([name]) => name), ...extra()])];
  if (wanted.length > 0 && mayInstall && isRoot && findProgram('apt-get')) {
    installDebianPackages(wanted);
    missing = lacking();
  }
  const isFatal = missing.some(([, program]) => !substitutable.includes(program));
  if (missing.length > 0) lackOfPrograms(missing, options.dev || !isRoot || !isFatal);
  if (extra().length > 0) say(`Not installed: ${extra().join(', ')}; what needs them is skipped.`);
}

function lackOfPrograms(missing, isTolerated) {
  const why = !mayInstall
    ? 'OCTAVIA_INSTALL=never forbids installing them'
    : !isRoot
      ? 'only root can install them'
      : 'they could not be installed';
  const names = missing.map(([, program]) => program).join(', ');
  const sentence = `Missing programs of the local cloud: ${names}; ${why}. Install the packages ${missing.map(([name]) => name).join(' ')}`;
  if (isTolerated) say(`${sentence}; what needs them is not available.`);
  else stop(`${sentence} and start again.`);
}

// --- bundles of the controllers --------------------------------------------------------------------------------------

const bundles = join(modules, '.cache', 'octavia-bundles');
const bundler = join(root, 'tools', 'bundle.ts');

/** Entries that have bundles. */
const bundledEntries = ['all', 'api', 'worker', 'health-manager', 'housekeeping'];

/** Bundles of other sources that are kept: whoever runs one may load more of it later. */
const keptBundles = 3;

/**
 * The bundle of a controller, made when the sources are not those of the last one (1 s); its source when it has none or it cannot be made.
 * tools/bundle.ts says why.
 */
function bundled(path) {
  const name = basename(path, '.ts');
  if (path !== join(root, 'src', 'main', `${name}.ts`) || !bundledEntries.includes(name)) return path;
  if (process.env.OCTAVIA_BUNDLE === 'never' || !existsSync(bundler)) return path;
  const folder = join(bundles, sourceDigest());
  return existsSync(folder) || makeBundles(folder) ? join(folder, `main-${name}.mjs`) : path;
}

/** What the sources are by name, size and time: 10 ms, where reading them would take 30. */
function sourceDigest() {
  const files = [[bundler, statSync(bundler)]];
  const look = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) look(path);
      else files.push([path, statSync(path)]);
    }
  };
  look(join(root, 'src'));
  const lines = byKey(files, ([path]) => path).map(([path, { size, mtimeMs }]) => `${path}\0${size}\0${mtimeMs}\n`);
  return createHash('sha256').update(wantedStamp()).update(lines.join('')).digest('hex').slice(0, 16);
}

/** Makes them beside their place and moves them there, so that nobody finds half of them. False: it did not work, which is said. */
function makeBundles(folder) {
  const making = `${folder}.${process.pid}`;
  const args = ['--disable-warning=ExperimentalWarning', bundler, making];
  const { status, error, stderr } = spawnSync(nodePath(), args, { encoding: 'utf8' });
  try {
    if (status !== 0) throw error ?? new Error(stderr.trim().split('\n')[0]);
    renameSync(making, folder);
    forgetBundles();
  } catch (failure) {
    rmSync(making, { recursive: true, force: true });
    // Another start was faster.
    if (existsSync(folder)) return true;
    say(`The controllers run from their sources, in more memory, as they could not be bundled: ${failure.message}`);
    return false;
  }
  return true;
}

function forgetBundles() {
  const folders = readdirSync(bundles).map((name) => join(bundles, name));
  const newestFirst = byKey(folders, (folder) => -statSync(folder).mtimeMs);
  for (const old of newestFirst.slice(keptBundles + 1)) rmSync(old, { recursive: true, force: true });
}

/** The list in the order of a key. */
function byKey(list, keyOf) {
  // oxlint-disable-next-line unicorn/no-array-sort -- Node 18 has no toSorted
  return [...list].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

// --- becoming the entry ----------------------------------------------------------------------------------------------

/**
 * Controllers run for months and are mostly idle: a small young generation, and a heap that grows by a fifth at a time, where Node would
 * take 366 MiB with 1,000 load balancers on PostgreSQL. `--optimize-for-size` would halve it again, and lists would take twice the
 * processor time. docs/adr/0022 has the figures.
 */
const controllerFlags = ['--max-semi-space-size=4', '--heap-growing-percent=20'];

/** One arena for all threads, of which one works most of the time: each other one keeps some MiB that it once needed. */
const controllerEnv = { MALLOC_ARENA_MAX: '1' };

function become(entry, rest) {
  const path = resolve(root, entry);
  if (!existsSync(path)) stop(`There is no ${path}.`);
  if (!existsSync(nodePath())) stop(checkNode());
  const isController = path.startsWith(join(root, 'src', 'main'));
  const cache = process.env.NODE_COMPILE_CACHE ?? join(modules, '.cache', 'octavia-compile');
  const env = { ...(isController && controllerEnv), ...process.env, NODE_COMPILE_CACHE: cache };
  const args = ['--disable-warning=ExperimentalWarning', ...(isController ? controllerFlags : []), bundled(path), ...rest];
  if (typeof process.execve === 'function') process.execve(nodePath(), [nodePath(), ...args], env);
  const child = spawn(nodePath(), args, { stdio: 'inherit', env });
  child.on('error', (error) => stop(`The pinned Node ${nodePath()} cannot be started (${error.code}).`));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) {
    // A terminal sends Ctrl-C to the child as well: passed on it would arrive twice.
    const isFromTerminal = (signal === 'SIGINT' || signal === 'SIGQUIT') && process.stdin.isTTY;
    process.on(signal, () => isFromTerminal || child.kill(signal));
  }
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (os.constants.signals[signal] ?? 0)));
}

function main() {
  const options = parseArguments(process.argv.slice(2));
  if (Number(process.versions.node.split('.')[0]) < 18)
    stop(`Node ${process.versions.node} is too old: 18 or newer is needed to start (Debian 12: apt-get install nodejs npm).`);
  if (process.platform !== 'linux')
    stop(
      `This program needs Linux (namespaces, HAProxy, keepalived), and this is ${process.platform}; use a Linux machine, a VM or a container.`,
    );
  if (!['x64', 'arm64'].includes(process.arch))
    stop(`There is no pinned Node for the processor ${process.arch}: only x64 and arm64 are supported.`);
  if (options.inner) return installNpmPackages();
  ensureNpmPackages();
  ensurePrograms(options);
  const [entry, ...rest] = options.rest;
  if (entry !== undefined) become(entry, rest);
}

main();
