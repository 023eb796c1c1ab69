/** Running other programs: always with a list of arguments, never through a shell. */
import { execFile } from 'node:child_process';

/** What a program gets besides its arguments. */
export type RunOptions = {
  /** Written to its standard input, which is then closed. */
  readonly input?: string | Uint8Array | undefined;
  /** It is killed (SIGKILL) after this time; 30 seconds unless told. */
  readonly timeout_ms?: number | undefined;
  /** Its whole environment; the one of this process unless told. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** A program could not be started, was killed, or ended with another code than 0. */
export class CommandError extends Error {
  /** Its exit code; null when it was killed or never started. */
  readonly code: number | null;
  /** `ENOENT` and the like when it could not be started, `SIGKILL` and the like when it was killed, else null. */
  readonly reason: string | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(message: string, outcome: { code: number | null; reason: string | null; stdout: string; stderr: string }, cause: unknown) {
    super(message, { cause });
    this.name = 'CommandError';
    this.code = outcome.code;
    this.reason = outcome.reason;
    this.stdout = outcome.stdout;
    this.stderr = outcome.stderr;
  }
}

/**
 * Runs a program to its end and answers its standard output as text.
 *
 * Throws `CommandError` with the code and standard error. The message names the program and its arguments (secrets never
 * belong in arguments: other users can read them in /proc), never the input.
 */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input, timeout_ms = 30_000, ...rest } = options;
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const settings = {
    ...given,
    timeout: timeout_ms,
    killSignal: 'SIGKILL' as const,
    maxBuffer: 64 * 2 ** 20,
    encoding: 'utf8' as const,
    shell: false,
  };
  return new Promise((resolve, reject) => {
    const child = execFile(command, [...args], settings, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(commandError(command, args, error, stdout, stderr));
    });
    // A program that ends without reading its input closes the pipe: its exit code tells, not EPIPE.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

type ExecError = Error & { code?: number | string | null; signal?: string | null; killed?: boolean };

function commandError(command: string, args: readonly string[], error: ExecError, stdout: string, stderr: string): CommandError {
  const code = typeof error.code === 'number' ? error.code : null;
  const reason = typeof error.code === 'string' ? error.code : (error.signal ?? null);
  const line = [command, ...args].join(' ').slice(0, 200);
  const how = code === null ? `failed (${reason ?? 'unknown reason'})` : `ended with code ${code}`;
  const what = stderr.trim().slice(0, 500) || stdout.trim().slice(0, 500);
  return new CommandError(`${line} ${how}${what === '' ? '' : `: ${what}`}`, { code, reason, stdout, stderr }, error.cause);
}
