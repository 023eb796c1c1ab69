/** The agent's log: a JSON object per line on standard error. The project's logger would double the agent's start time and memory. */

/** Writes one line: a constant message and fields; never a secret. */
export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** The log of this process. */
export const log: Log = (level, message, fields = {}) => {
  const shown = Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? explained(value) : value]));
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, msg: message, ...shown })}\n`);
};

function explained(error: Error): string {
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`;
}
