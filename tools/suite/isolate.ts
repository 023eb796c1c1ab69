/** A machine within the machine: own network, mounts and processes, so that tests neither see nor change the host's. */
import { spawn, spawnSync } from 'node:child_process';

const flags = ['-n', '-m', '-p', '-f', '--kill-child', '--mount-proc'];

/** Undefined when namespaces can be made here, else the reason why not. */
export function whyNotIsolated(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  const tried = spawnSync('unshare', [...flags, 'true'], { encoding: 'utf8' });
  return tried.status === 0 ? undefined : `namespaces are not allowed (${tried.stderr.trim() || String(tried.error)})`;
}

/**
 * The first process inside. It is a shell, because it must collect processes that lose their parents, which Node does not do
 * for processes it did not start: they would stay as zombies and look alive. "$@" is the program.
 */
const first = `
ip link set lo up || exit 70
mkdir -p /run/netns && mount -t tmpfs -o mode=755 tmpfs /run/netns || exit 70
"$@" &
child=$!
trap 'kill -INT $child' INT
trap 'kill -TERM $child' TERM
while :; do
  wait $child; code=$?
  kill -0 $child 2>/dev/null || exit $code
done
`;

/** Runs a program inside and answers its exit code. Whatever it leaves running is killed at its end. */
export function runIsolated(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('unshare', [...flags, 'sh', '-c', first, 'sh', command, ...args], { stdio: ['ignore', 'inherit', 'inherit'], env });
    // A terminal tells the inner processes as well; they have the time to clean up, and this one waits for them.
    const ignore = (): void => undefined;
    process.on('SIGINT', ignore);
    process.on('SIGTERM', () => child.kill('SIGKILL'));
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 130)));
  });
}
